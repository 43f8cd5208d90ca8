#include "cluster/furthest_end.h"
#include "cluster/node_record.h"
#include "cluster/progress.h"
#include "cluster/settings.h"
#include "console/lag_history.h"
#include "fuzz/fuzz.h"
#include "wal/archive_get.h"
#include "wal/followed_line.h"

// What a power cut, or an older version, may have left of files of our own: each is refused as one,
// or read, and what is written of that reads as the same. The first byte chooses the file.
namespace {

using namespace pgrevive;

// A refusal says which file it is, so `kind` is ours, and the words can be shown.
template <typename Read>
void read(Read&& parse) {
  try {
    std::forward<Read>(parse)();
  } catch (const Error& error) {
    const std::string_view words = error.what();
    fuzz::require(!words.empty() && printable(words, words.size() + 1) == words,
                  "an error's message is printable");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Source source(fuzz::input(data, size));
  const auto choice = source.number<std::uint8_t>() % 7;
  const std::string text(as_text(source.rest()));
  switch (choice) {
    case 0:
      read([&] {
        const auto once = cluster::to_json(cluster::from_json(text));
        fuzz::require(cluster::to_json(cluster::from_json(once)) == once, "settings stay");
      });
      break;
    case 1:
      read([&] {
        const auto once = cluster::to_json(cluster::status_from_json(text));
        fuzz::require(cluster::to_json(cluster::status_from_json(once)) == once, "a status stays");
      });
      break;
    case 2:
      read([&] { cluster::NodeRecord::parse(text, "/fuzz/pgrevive-node.json"); });
      break;
    case 3:
      read([&] { cluster::FurthestEnd::parse(text); });
      break;
    case 4:
      read([&] { wal::Fork::parse(text, "/fuzz/fork"); });
      break;
    case 5:
      read([&] { wal::FollowedLine::parse(text); });
      break;
    default:
      if (const auto history = console::LagHistory::parse(text)) {
        const auto again = console::LagHistory::parse(history->text());
        fuzz::require(again && again->samples().size() <= history->samples().size(),
                      "a history is taken up again");
      }
  }
  return 0;
}
