#include "cli/commands/demo_source.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/identity_scope.h"
#include "postgres/binaries.h"
#include "postgres/conf_file.h"
#include "postgres/server.h"

namespace pgrevive::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::array kTables{std::pair{"shop", "pgbench_accounts"},
                             std::pair{"shop", "pgbench_history"}, std::pair{"shop", "customers"},
                             std::pair{"shop", "orders"}, std::pair{"analytics", "events"}};

// The user the source runs as: PostgreSQL refuses to be root.
std::optional<Identity> server_identity() {
  if (geteuid() != 0) return std::nullopt;
  if (auto postgres = Identity::find("postgres")) return postgres;
  throw Error(ErrorKind::not_found, "there is no user postgres")
      .with_hint("install PostgreSQL: apt-get install postgresql");
}

void give(const std::filesystem::path& path, const std::optional<Identity>& identity) {
  if (identity && lchown(path.c_str(), identity->uid, identity->gid) != 0) {
    throw system_error(errno, fmt::format("cannot give {} to {}", path.string(), identity->name));
  }
}

// Runs a program to its end; what it complained about becomes the error.
void run_program(Command command, std::string_view input = {}) {
  const std::string name = command.program.filename();
  const Output output = run(command, input, std::chrono::minutes(30));
  if (output.status.ok()) return;
  std::string said(trim(output.err.empty() ? output.out : output.err));
  if (said.size() > 1000) said = "..." + said.substr(said.size() - 1000);
  throw Error(ErrorKind::postgres, fmt::format("{} failed ({})", name, output.status.text()))
      .with_hint(fmt::format("it said: {}", printable(said, 1200)));
}

// A directory for sockets with a short name, whose length is limited to about 100 bytes.
class SocketDirectory {
 public:
  explicit SocketDirectory(const std::optional<Identity>& identity) {
    std::string name = "/tmp/pgrevive-demo-XXXXXX";
    if (mkdtemp(name.data()) == nullptr)
      throw system_error(errno, "cannot make a directory in /tmp");
    path_ = name;
    give(path_, identity);
  }
  ~SocketDirectory() {
    try {
      remove_tree(path_);
    } catch (const Error&) {  // an empty directory in /tmp is no reason to fail
    }
  }
  SocketDirectory(const SocketDirectory&) = delete;
  SocketDirectory& operator=(const SocketDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Ends the server however we leave: a demo that fails leaves nothing running.
class RunningServer {
 public:
  RunningServer(const Command& command, std::filesystem::path data)
      : data_(std::move(data)), process_(ChildProcess::start(command)) {}
  ~RunningServer() { stop(); }

  bool ended() { return process_.wait_for(0ms).has_value(); }
  void stop() noexcept {
    try {
      if (process_.pid() > 0) {
        process_.send(SIGINT);
        process_.wait_for(60s);
      }
    } catch (...) {  // its owner's destructor kills it
    }
  }

 private:
  std::filesystem::path data_;
  ChildProcess process_;
};

// pgbench at work on the source, until stop().
class Load {
 public:
  explicit Load(const Command& pgbench)
      : log_(pgbench.log), process_(ChildProcess::start(pgbench)) {}

  // Throws where it has ended by itself.
  void stop() {
    if (const auto status = process_.wait_for(0ms))
      throw Error(ErrorKind::postgres, "pgbench ended too early: " + status->text())
          .with_hint(fmt::format("look into {}", log_.string()));
    process_.send(SIGTERM);
    process_.wait_for(60s);
  }

 private:
  std::filesystem::path log_;
  ChildProcess process_;
};

// Asks until the answer is yes; throws once that takes a minute.
void wait_for(postgres::Connection& connection, const std::string& question,
              const std::string& failure, const std::filesystem::path& log) {
  for (int look = 0; connection.value(question).value_or("") != "t"; ++look) {
    if (look > 600)
      throw Error(ErrorKind::postgres, failure)
          .with_hint(fmt::format("look into {}", log.string()));
    std::this_thread::sleep_for(100ms);
  }
}

constexpr const char* kShop = R"(
create table customers (
  id int primary key, name text not null, city text not null, since date not null);
insert into customers
  select n, 'customer ' || n, (array['Lisbon', 'Recife', 'Berlin', 'Osaka'])[1 + n % 4],
         date '2020-01-01' + n % 2000
  from generate_series(1, 20000) n;
create table orders (
  id bigserial primary key, customer int not null references customers, placed timestamptz not null,
  amount numeric(10,2) not null, note text);
insert into orders (customer, placed, amount, note)
  select 1 + n % 20000, timestamptz '2026-01-01' + n * interval '1 minute', (n % 99900) / 100.0 + 1,
         repeat(md5(n::text), 2)
  from generate_series(1, 100000) n;
create index on orders (customer);
)";

constexpr const char* kAnalytics = R"(
create table events (at timestamptz not null, kind text not null, payload jsonb) tablespace fast;
insert into events
  select timestamptz '2026-01-01' + n * interval '7 seconds', (array['view', 'cart', 'buy'])[1 + n % 3],
         jsonb_build_object('session', md5(n::text), 'page', n % 300)
  from generate_series(1, 100000) n;
create index on events using gin (payload) tablespace fast;
)";

// Life between and after the backups.
constexpr const char* kMoreOrders = R"(
insert into orders (customer, placed, amount, note)
  select 1 + n % 20000, now(), (n % 500) + 0.5, 'late order ' || n from generate_series(1, 5000) n;
)";

}  // namespace

bool DemoSource::is_ours() const {
  std::error_code ignored;
  return std::filesystem::exists(root_ / "pgrevive-demo.json", ignored);
}

std::optional<std::vector<DemoSource::Rows>> DemoSource::rows() const {
  const auto text = read_file_if_exists(root_ / "rows.json");
  if (!text || !is_ours()) return std::nullopt;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  std::vector<Rows> rows;
  for (const auto& [table, count] : json.items()) {
    if (!count.is_number_integer()) return std::nullopt;
    rows.push_back({table, count.get<std::int64_t>()});
  }
  return rows;
}

std::vector<DemoSource::Rows> DemoSource::count(postgres::ConnectionOptions server) {
  std::vector<Rows> rows;
  for (const auto& [database, table] : kTables) {
    server.database = database;
    server.statement_timeout = 120s;
    auto connection = postgres::Connection::open(server);
    const auto count = connection.value(fmt::format("select count(*) from {}", table));
    rows.push_back({fmt::format("{}.{}", database, table), std::stoll(count.value_or("0"))});
  }
  std::ranges::sort(rows, {}, &Rows::table);
  return rows;
}

void DemoSource::make(int scale, const std::function<void(const std::string&)>& step) const {
  std::error_code ignored;
  if (!is_ours() && std::filesystem::exists(root_, ignored) &&
      !std::filesystem::is_empty(root_, ignored)) {
    throw Error(ErrorKind::target_not_empty,
                fmt::format("{} is not empty and not a demo's", root_.string()))
        .with_hint("move it away, or set PGREVIVE_HOME to another directory");
  }
  const auto identity = server_identity();
  const auto version = postgres::newest_installed();
  if (!version) {
    throw Error(ErrorKind::not_found, "no PostgreSQL server is installed")
        .with_hint("apt-get install postgresql");
  }
  const std::filesystem::path binaries = postgres::find_binaries(*version);
  const auto pgbackrest = find_program("pgbackrest");
  if (!pgbackrest) {
    throw Error(ErrorKind::not_found, "pgbackrest is not installed")
        .with_hint("apt-get install pgbackrest");
  }

  remove_tree(root_);
  make_directories(root_, 0755);
  write_file_atomic(root_ / "pgrevive-demo.json", "{\"made_by\": \"pgrevive demo\"}\n", 0644);
  for (const char* name : {"repo", "tablespace", "logs", "lock"}) {
    make_directories(root_ / name, 0750);
    give(root_ / name, identity);
  }
  // initdb makes its directory itself, so it has to lie in one that is the server's.
  make_directories(root_ / "source", 0750);
  give(root_ / "source", identity);
  const std::filesystem::path data = root_ / "source" / "data";
  const SocketDirectory sockets(identity);

  const auto command = [&](const std::filesystem::path& program,
                           std::vector<std::string> arguments) {
    Command result{.program = program, .arguments = std::move(arguments)};
    result.directory = root_ / "source";
    result.identity = identity;
    return result;
  };
  const auto backrest = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--config=" + conf().string(), "--stanza=main"});
    run_program(command(*pgbackrest, std::move(arguments)));
  };

  step(fmt::format("making a PostgreSQL {} source", version->text()));
  run_program(command(binaries / "initdb",
                      {"-D", data.string(), "-U", "postgres", "-A", "trust", "--locale=C.UTF-8",
                       "--encoding=UTF8", "--data-checksums", "--no-instructions"}));
  write_file_atomic(
      conf(),
      fmt::format("[global]\nrepo1-path={0}/repo\nrepo1-bundle=y\nrepo1-retention-full=2\n"
                  "compress-type=zst\nstart-fast=y\nprocess-max=2\nlog-path={0}/logs\n"
                  "lock-path={0}/lock\nlog-level-console=warn\nlog-level-file=info\n\n"
                  "[main]\npg1-path={1}\npg1-socket-path={2}\npg1-user=postgres\n",
                  root_.string(), data.string(), sockets.path().string()),
      0644);
  const std::string push = fmt::format("{} --config={} --stanza=main archive-push \"%p\"",
                                       pgbackrest->string(), conf().string());
  const std::string settings =
      postgres::format_conf({{"listen_addresses", ""},
                             {"unix_socket_directories", sockets.path().string()},
                             {"unix_socket_permissions", "0700"},
                             {"archive_mode", "on"},
                             {"archive_command", push},
                             {"wal_level", "replica"},
                             {"log_min_messages", "warning"}});
  {
    const cluster::IdentityScope scope(identity.value_or(Identity::current()));
    const std::filesystem::path postgresql_conf = data / "postgresql.conf";
    write_file_atomic(postgresql_conf, read_file(postgresql_conf) + "\n# of the demo\n" + settings);
  }

  Command server_command = command(binaries / "postgres", {"-D", data.string()});
  server_command.log = root_ / "logs" / "source.log";
  RunningServer server(server_command, data);
  postgres::ConnectionOptions options;
  options.host = sockets.path().string();
  options.database = "postgres";
  options.statement_timeout = 600s;
  for (int look = 0; postgres::ping(options) != postgres::Readiness::accepting; ++look) {
    if (server.ended() || look > 600) {
      throw Error(ErrorKind::postgres, "the sample source does not start")
          .with_hint(fmt::format("look into {}", server_command.log.string()));
    }
    std::this_thread::sleep_for(100ms);
  }

  step("filling it: two databases, a tablespace, pgbench and a shop");
  {
    auto connection = postgres::Connection::open(options);
    connection.query(fmt::format("create tablespace fast location {}",
                                 connection.quote_literal((root_ / "tablespace").string())));
    connection.query("create database shop");
    connection.query("create database analytics");
  }
  const auto sql = [&](const char* database, std::string_view text) {
    Command psql =
        command(binaries / "psql", {"-X", "-q", "-v", "ON_ERROR_STOP=1", "-h",
                                    sockets.path().string(), "-U", "postgres", "-d", database});
    run_program(std::move(psql), text);
  };
  run_program(command(binaries / "pgbench", {"-i", "-q", "-s", std::to_string(scale), "-h",
                                             sockets.path().string(), "-U", "postgres", "shop"}));
  sql("shop", kShop);
  sql("analytics", kAnalytics);

  step("pgBackRest: stanza-create and a full backup, with pgbench at work all the while");
  backrest({"stanza-create"});
  Command pgbench =
      command(binaries / "pgbench", {"-n", "-c", "2", "-R", "50", "-T", "3600", "-h",
                                     sockets.path().string(), "-U", "postgres", "shop"});
  pgbench.log = root_ / "logs" / "pgbench.log";
  Load load(pgbench);
  backrest({"--type=full", "backup"});
  step("pgBackRest: an incremental backup after some changes");
  sql("shop", kMoreOrders);
  backrest({"--type=incr", "backup"});

  step("more rows after the backup, into the WAL archive");
  sql("shop", kMoreOrders);
  sql("analytics", "insert into events select now(), 'after', null from generate_series(1, 2000);");
  load.stop();
  auto connection = postgres::Connection::open(options);
  // Until then its last transactions may still be committed.
  wait_for(connection,
           "select count(*) = 0 from pg_stat_activity where application_name = 'pgbench'",
           "pgbench's sessions do not end", server_command.log);
  const std::vector<Rows> rows = count(options);
  const std::string last = connection.value("select pg_walfile_name(pg_switch_wal())").value_or("");
  wait_for(connection, "select last_archived_wal >= '" + last + "' from pg_stat_archiver",
           fmt::format("WAL segment {} does not get archived", last), server_command.log);

  step("stopping the source and dropping it");
  server.stop();
  remove_tree(root_ / "source");
  remove_tree(root_ / "tablespace");

  nlohmann::ordered_json json;
  for (const Rows& entry : rows) json[entry.table] = entry.count;
  write_file_atomic(root_ / "rows.json", json.dump(2) + "\n", 0644);
}

bool DemoSource::remove() const {
  if (!is_ours()) return false;
  remove_tree(root_);
  return true;
}

}  // namespace pgrevive::cli
