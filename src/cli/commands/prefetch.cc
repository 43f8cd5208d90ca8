#include <algorithm>
#include <csignal>
#include <thread>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/archives.h"
#include "cli/commands/commands.h"
#include "cli/prefetch_words.h"
#include "cli/print.h"
#include "cli/signals.h"
#include "cluster/node_files.h"
#include "spool/spool.h"
#include "wal/prefetcher.h"

namespace pgrevive::cli {
namespace {

// Two for each processor keep both the network and the decoders busy; with fewer than four the
// latency of an S3 server shows.
unsigned default_jobs() { return std::clamp(2 * std::thread::hardware_concurrency(), 4u, 16u); }

// Whoever started us answers for us, and nobody would stop us in their place.
void end_with_parent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::kill(::getpid(), SIGTERM);
}

// The smallest of what is wanted and half of what is free on any of the file systems.
std::uint64_t affordable(std::uint64_t wanted, const std::vector<wal::PrefetchedNode>& nodes) {
  for (const auto& node : nodes)
    wanted = std::min(wanted, disk_space(node.data_directory).free_bytes / 2);
  return wanted;
}

int run_prefetch(const GlobalOptions& global, const PrefetchWords& words) {
  const StopOnSignal stop;
  if (words.parent != 0) end_with_parent(words.parent);
  wal::PrefetchOptions options;
  options.nodes = prefetched_nodes(words);
  const auto control = cluster::load_control_file(options.nodes.front().data_directory);
  for (const auto& node : options.nodes) {
    if (cluster::load_control_file(node.data_directory).system_id != control.system_id)
      throw Error(ErrorKind::usage,
                  fmt::format("{} is not of the same cluster as {}", node.data_directory.string(),
                              options.nodes.front().data_directory.string()));
  }
  const Source source = load_source(global, words.repository, "archive-get");
  const OpenArchives open = open_archives(source, control);
  if (open.trouble) err("warning: {}\n", open.trouble->text());

  options.archives = open.all();
  options.archive_name = spool::archive_named_by(source.words);
  options.guard_tablespaces = words.guard_tablespaces;
  options.until_stopped = words.parent != 0;
  options.cluster = {.system_id = control.system_id, .version = control.version};
  options.segment_size = control.wal_segment_size;
  if (!words.from.empty())
    options.from = postgres::WalSegment::parse(words.from, control.wal_segment_size);
  options.spool_bytes = affordable(spool_bytes(words), options.nodes);
  options.jobs = words.jobs != 0 ? words.jobs : default_jobs();
  options.log = [](const std::string& line) {
    err("{} {}\n", format_time(std::chrono::system_clock::now()), line);
  };
  wal::Prefetcher prefetcher(options);
  prefetcher.run(stop.token());
  const auto totals = prefetcher.totals();
  options.log(fmt::format("{} segments fetched, {} files laid into spools, {} of them taken",
                          totals.fetched, totals.laid, totals.taken));
  return 0;
}

}  // namespace

void add_prefetch(Parser& parser) {
  CLI::App* command = parser.app.add_subcommand(
      "prefetch", "Fetch the WAL that servers in recovery will ask for next");
  auto words = std::make_shared<PrefetchWords>();
  command->add_option("--node", words->nodes, "A server's data directory (repeat for more)")
      ->type_name("NAME=DIR")
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option("--fork", words->forks,
                   "Give that node nothing before this fork file is there, and then what it allows")
      ->type_name("NAME=FILE")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--from", words->from, "Segment to begin with (default: the first asked for)")
      ->type_name("SEGMENT");
  command->add_option("--spool-size", words->spool_size, "Ceiling for what lies ready")
      ->type_name("SIZE")
      ->capture_default_str();
  command
      ->add_option("--jobs", words->jobs,
                   "Segments fetched at once (default: two for each processor, at least 4)")
      ->type_name("N")
      ->check(CLI::Range(1u, 64u).description(""));
  command->add_flag("--guard-tablespaces", words->guard_tablespaces,
                    "Leave WAL that makes tablespaces to archive-get and its guard");
  command->add_option("--with-parent", words->parent)->group("");
  add_repository_words(*command, words->repository);
  command->footer(
      "Runs beside servers that recover with `pgrevive-archive-get` as their restore_command, as\n"
      "the same user, and ends with their recovery. Without it they recover as well, but each\n"
      "segment is fetched when it is asked for, and by every server on its own.\n\n"
      "Example:\n"
      "  pgrevive prefetch --config /etc/pgbackrest.conf --stanza main \\\n"
      "      --node primary=/srv/pg/primary --node replica=/srv/pg/replica");
  command->callback([&parser, words] {
    parser.work = [&parser, words] { return run_prefetch(parser.global, *words); };
  });
}

}  // namespace pgrevive::cli
