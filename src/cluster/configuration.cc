#include "cluster/configuration.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "cluster/node_tls.h"

namespace pgrevive::cluster {
namespace {

// The WAL may hold more origins than the backup, one for each table that a subscription begins to
// copy; a place costs some bytes.
constexpr int kOriginsInWal = 64;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::string megabytes(std::uint64_t bytes) {
  return fmt::format("{}MB", std::max<std::uint64_t>(1, bytes / kMiB));
}

// PostgreSQL takes integers in other bases too, but nobody writes max_connections so.
int integer(const std::string& text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

class Writer {
 public:
  void section(const std::string& comment) { text_ += "\n# " + comment + "\n"; }
  void set(const std::string& name, const std::string& value) {
    text_ += name + " = " + postgres::quote_value(value) + "\n";
  }
  void set(const std::string& name, std::int64_t value) {
    text_ += fmt::format("{} = {}\n", name, value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_ =
      "# Written by pgrevive at every start; use ALTER SYSTEM for settings of your own.\n";
};

const postgres::Setting* find(const std::vector<postgres::Setting>& settings,
                              const std::string& name) {
  const auto found = std::ranges::find(settings, name, &postgres::Setting::name);
  return found == settings.end() ? nullptr : &*found;
}

int source_value(const NodeConfiguration& node, const std::string& name, int otherwise) {
  const auto* setting = find(node.source, name);
  return setting == nullptr ? otherwise : integer(setting->value);
}

std::string or_default(const std::string& given, std::uint64_t bytes) {
  return given.empty() ? megabytes(bytes) : given;
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

// Written here and never copied from the source as they are.
bool is_parameter(const std::string& name) {
  return name == "max_connections" || name == "max_worker_processes" || name == "max_wal_senders" ||
         name == "max_prepared_transactions" || name == "max_locks_per_transaction" ||
         name == "max_replication_slots" || name == "max_active_replication_origins" ||
         name == "wal_level";
}

void write_parameters(Writer& out, const NodeConfiguration& node, const Settings& settings) {
  out.section("what hot standby must not stay below, and room for replicas");
  for (const auto& parameter : written_parameters(node, settings))
    out.set(parameter.name, parameter.value);
}

void write_memory(Writer& out, const NodeConfiguration& node, const Settings& settings) {
  const auto memory = node.host.memory_bytes;
  out.section("memory");
  out.set("shared_buffers", or_default(settings.shared_buffers, default_shared_buffers(node.host)));
  out.set("effective_cache_size", or_default(settings.effective_cache_size, memory / 2));
  out.set("maintenance_work_mem", or_default(settings.maintenance_work_mem,
                                             std::clamp(memory / 64, 64 * kMiB, 512 * kMiB)));
  out.set("work_mem",
          or_default(settings.work_mem, std::clamp(memory / 1024, 4 * kMiB, 32 * kMiB)));
}

void write_replication(Writer& out, const NodeConfiguration& node) {
  out.section("replication and archiving");
  const auto* level = find(node.source, "wal_level");
  out.set("wal_level", level != nullptr ? level->value : "replica");
  out.set("hot_standby", "on");
  if (node.version.at_least(13)) {
    out.set("wal_keep_size", "512MB");
    // A replica that is gone for good must not fill the primary's disk.
    out.set("max_slot_wal_keep_size", "16GB");
  } else {
    out.set("wal_keep_segments", 32);
  }
  out.set("wal_retrieve_retry_interval", "500ms");
  // archive_mode needs a restart and archive_command does not, so the first is there from the
  // beginning.
  out.set("archive_mode", node.archiving ? "on" : "off");
  if (node.archiving) out.set("archive_command", node.archive_command);
  if (node.hold_subscriptions && node.version.at_least(10))
    out.set("max_logical_replication_workers", 0);
  // Nor what the source has run when somebody logs in.
  if (node.hold_subscriptions && node.version.at_least(17)) out.set("event_triggers", "off");
}

}  // namespace

std::uint64_t default_shared_buffers(const Host& host) {
  return std::clamp(host.memory_bytes / 8, 32 * kMiB, 1024 * kMiB);
}

std::optional<std::uint64_t> parse_memory_size(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, int>, 5> kUnits{
      {{"kB", 10}, {"MB", 20}, {"GB", 30}, {"TB", 40}, {"B", 0}}};
  text = trim(text);
  for (const auto& [unit, shift] : kUnits) {
    if (!text.ends_with(unit)) continue;
    const auto number = parse_unsigned(trim(text.substr(0, text.size() - unit.size())));
    if (!number || *number > std::numeric_limits<std::uint64_t>::max() >> shift) return {};
    return *number << shift;
  }
  return {};
}

std::optional<std::uint64_t> shared_buffers_of(const Settings& settings, const Host& host) {
  return settings.shared_buffers.empty() ? default_shared_buffers(host)
                                         : parse_memory_size(settings.shared_buffers);
}

postgres::ControlFile::Parameters parameters_of(const NodeConfiguration& node,
                                                const Settings& settings) {
  const auto greatest_of = [&](const std::string& name, int floor, int ours) {
    return std::max({floor, ours, source_value(node, name, 0)});
  };
  return {
      .max_connections = greatest_of("max_connections", node.floor.max_connections, 100),
      .max_worker_processes =
          greatest_of("max_worker_processes", node.floor.max_worker_processes, 8),
      // What the user asked for counts before the source's own, but not before what WAL demands.
      .max_wal_senders = std::max({node.floor.max_wal_senders, settings.replicas + 2,
                                   settings.max_wal_senders.value_or(
                                       std::max(10, source_value(node, "max_wal_senders", 0)))}),
      .max_prepared_xacts =
          greatest_of("max_prepared_transactions", node.floor.max_prepared_xacts, 0),
      .max_locks_per_xact =
          greatest_of("max_locks_per_transaction", node.floor.max_locks_per_xact, 64),
  };
}

std::vector<Parameter> written_parameters(const NodeConfiguration& node, const Settings& settings) {
  std::vector<Parameter> parameters;
  const auto add = [&](const char* name, int value, int by_itself, const std::string& why) {
    const int before = source_value(node, name, by_itself);
    parameters.push_back(
        {.name = name, .value = value, .before = before, .why = value == before ? "" : why});
  };
  const auto of_wal = [](int value, int floor, const char* otherwise) {
    return value == floor ? "demanded by the WAL" : otherwise;
  };
  constexpr const char* kLeast = "the least that a cluster here has";
  const auto used = parameters_of(node, settings);
  const auto& floor = node.floor;
  // Before version 10 these had to be asked for.
  const int some = node.version.at_least(10) ? 10 : 0;
  add("max_connections", used.max_connections, 100,
      of_wal(used.max_connections, floor.max_connections, kLeast));
  add("max_worker_processes", used.max_worker_processes, 8,
      of_wal(used.max_worker_processes, floor.max_worker_processes, kLeast));
  add("max_prepared_transactions", used.max_prepared_xacts, 0,
      of_wal(used.max_prepared_xacts, floor.max_prepared_xacts, kLeast));
  add("max_locks_per_transaction", used.max_locks_per_xact, 64,
      of_wal(used.max_locks_per_xact, floor.max_locks_per_xact, kLeast));
  add("max_wal_senders", used.max_wal_senders, some,
      of_wal(
          used.max_wal_senders, floor.max_wal_senders,
          settings.max_wal_senders ? "as MAX_WAL_SENDERS says, with room for replicas" : kLeast));

  const int origins = node.replication_origins == 0 ? 0 : node.replication_origins + kOriginsInWal;
  constexpr const char* kForOrigins = "room for the replication origins that came with the data";
  int slots =
      std::max(settings.replicas + 2, settings.max_replication_slots.value_or(std::max(
                                          10, source_value(node, "max_replication_slots", 0))));
  const bool for_origins = !node.version.at_least(18) && origins > slots;
  if (for_origins) slots = origins;
  add("max_replication_slots", slots, some,
      for_origins                      ? kForOrigins
      : settings.max_replication_slots ? "as MAX_REPLICATION_SLOTS says, with room for replicas"
                                       : kLeast);
  if (node.version.at_least(18))
    add("max_active_replication_origins",
        std::max({10, origins, source_value(node, "max_active_replication_origins", 0)}), 10,
        kForOrigins);
  return parameters;
}

std::vector<std::string> changed_parameters(const NodeConfiguration& node,
                                            const Settings& settings) {
  std::vector<std::string> texts;
  for (const auto& parameter : written_parameters(node, settings))
    if (!parameter.why.empty())
      texts.push_back(fmt::format("{}: {} -> {}, {}", parameter.name, parameter.before,
                                  parameter.value, parameter.why));
  return texts;
}

std::string difference(const postgres::ControlFile::Parameters& before,
                       const postgres::ControlFile::Parameters& after) {
  std::vector<std::string> texts;
  const auto compare = [&](const char* name, int from, int to) {
    if (from != to) texts.push_back(fmt::format("{} {} -> {}", name, from, to));
  };
  compare("max_connections", before.max_connections, after.max_connections);
  compare("max_worker_processes", before.max_worker_processes, after.max_worker_processes);
  compare("max_wal_senders", before.max_wal_senders, after.max_wal_senders);
  compare("max_prepared_transactions", before.max_prepared_xacts, after.max_prepared_xacts);
  compare("max_locks_per_transaction", before.max_locks_per_xact, after.max_locks_per_xact);
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string postgresql_conf(const NodeConfiguration& node, const Settings& settings) {
  Writer out;
  out.section("where");
  out.set("data_directory", node.data_directory.string());
  out.set("hba_file", (node.conf_directory / "pg_hba.conf").string());
  out.set("ident_file", (node.conf_directory / "pg_ident.conf").string());
  out.set("listen_addresses", settings.listen_addresses);
  out.set("port", node.port);
  if (settings.node_tls) {
    const auto files = tls_files(node.conf_directory);
    out.set("ssl", "on");
    out.set("ssl_cert_file", files.certificate.string());
    out.set("ssl_key_file", files.key.string());
  }
  // The value is a list; double quotes keep a comma or a space inside one name.
  out.set("unix_socket_directories", '"' + node.socket_directory.string() + '"');
  out.set("cluster_name", settings.cluster_name + "/" + node.name);
  out.set("password_encryption", node.version.at_least(10) ? "scram-sha-256" : "on");

  // The server's output goes to a file that the supervisor opens for it.
  out.section("log");
  out.set("log_destination", "stderr");
  out.set("logging_collector", "off");
  out.set("log_line_prefix", "%m [%p] %q%u@%d ");

  write_memory(out, node, settings);
  write_parameters(out, node, settings);
  write_replication(out, node);

  if (!node.source.empty()) {
    out.section("kept from the source's configuration");
    for (const auto& setting : node.source)
      if (!is_parameter(setting.name)) out.set(setting.name, setting.value);
  }
  if (node.stage == Stage::recovering) {
    out.section("until it is set up");
    // In the midst of a promotion a server must not start itself again (half_promoted.h).
    out.set("restart_after_crash", "off");
  }
  if (node.version.at_least(12) && !node.recovery.empty()) {
    out.section("recovery");
    for (const auto& setting : node.recovery) out.set(setting.name, setting.value);
  }
  return out.take();
}

std::string recovery_conf(const NodeConfiguration& node) {
  Writer out;
  out.set("standby_mode", "on");
  for (const auto& setting : node.recovery) out.set(setting.name, setting.value);
  return out.take();
}

std::string tls_host(const Settings& settings) {
  std::string list = settings.listen_addresses;
  std::ranges::replace(list, ',', ' ');
  std::string first;
  for (const auto& part : split(list, ' ')) {
    if (part.empty()) continue;
    if (part == "*" || part == "localhost" || part == "0.0.0.0") return "127.0.0.1";
    if (is_loopback(part)) return part;
    if (first.empty()) first = part == "::" ? "::1" : part;
  }
  return first.empty() ? "127.0.0.1" : first;
}

std::string pg_hba_conf(Stage stage, const Settings& settings, postgres::Version version) {
  std::string text = std::string(kOurMark) + " at every start.\n";
  const auto line = [&](std::string_view type, std::string_view database, std::string_view user,
                        std::string_view address, std::string_view method) {
    text += fmt::format("{:<8}{:<16}{:<26}{:<26}{}\n", type, database, user, address, method);
  };
  const std::string peer = fmt::format("peer map={}", kIdentMap);
  if (stage == Stage::recovering) {
    line("local", "all", "all", "", peer);
    return text;
  }
  const std::string_view password = version.at_least(10) ? "scram-sha-256" : "md5";
  line("local", "replication", kReplicationRole, "", password);
  line("local", "all", "all", "", peer);
  std::vector<std::string> addresses = {"127.0.0.1/32", "::1/128"};
  addresses.insert(addresses.end(), settings.allowed_networks.begin(),
                   settings.allowed_networks.end());
  const std::string_view type = settings.node_tls ? "hostssl" : "host";
  // Its password lies with every replica, and is to open no database.
  line(type, "all", kReplicationRole, "all", "reject");
  for (const auto& address : addresses) {
    line(type, "all", "all", address, password);
    line(type, "replication", kReplicationRole, address, password);
  }
  // Of this host's other addresses only our own role needs to come, where it has to.
  if (settings.node_tls && !settings.containers && !is_loopback(tls_host(settings)))
    line(type, "replication", kReplicationRole, "samehost", password);
  return text;
}

std::string pg_ident_conf(const std::vector<std::string>& system_users,
                          const std::vector<std::string>& roles) {
  // In this file a double quote inside quotes is doubled, and a leading '/' makes a pattern of a
  // system user's name.
  const auto quoted = [](const std::string& name) {
    std::string text = "\"";
    for (const char c : name) {
      if (c == '"') text += '"';
      text += c;
    }
    return text + '"';
  };
  std::string text = std::string(kOurMark) + " at every start.\n";
  for (const auto& user : system_users)
    for (const auto& role : roles)
      text += fmt::format("{:<12}{:<20}{}\n", kIdentMap, quoted(user), quoted(role));
  return text;
}

std::vector<postgres::Setting> target_settings(const restore::RecoveryTarget& target,
                                               const std::string& timeline) {
  using restore::RecoveryType;
  std::vector<postgres::Setting> settings = {{"recovery_target_timeline", timeline}};
  const auto name = [&]() -> std::optional<std::string> {
    switch (target.type) {
      case RecoveryType::immediate:
        return "recovery_target";
      case RecoveryType::time:
        return "recovery_target_time";
      case RecoveryType::name:
        return "recovery_target_name";
      case RecoveryType::lsn:
        return "recovery_target_lsn";
      case RecoveryType::xid:
        return "recovery_target_xid";
      case RecoveryType::latest:
      case RecoveryType::standby:
      case RecoveryType::none:
      case RecoveryType::preserve:
        break;
    }
    return {};
  }();
  if (!name) return settings;
  settings.push_back({*name, target.type == RecoveryType::immediate ? "immediate" : target.target});
  if (target.exclusive) settings.push_back({"recovery_target_inclusive", "off"});
  // We promote, after we have seen that the target was reached.
  settings.push_back({"recovery_target_action", "pause"});
  return settings;
}

std::string shell_argument(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'')
      quoted += "'\\''";
    else if (c == '%')
      quoted += "%%";
    else
      quoted += c;
  }
  return quoted + "'";
}

std::string conninfo_value(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string slot_name(const std::string& node) {
  std::string name = "pgrevive_" + node;
  std::ranges::replace(name, '-', '_');
  return name;
}

bool suffices(const postgres::ControlFile::Parameters& have,
              const postgres::ControlFile::Parameters& want) {
  return have.max_connections >= want.max_connections &&
         have.max_worker_processes >= want.max_worker_processes &&
         have.max_wal_senders >= want.max_wal_senders &&
         have.max_prepared_xacts >= want.max_prepared_xacts &&
         have.max_locks_per_xact >= want.max_locks_per_xact;
}

postgres::ControlFile::Parameters greatest(const postgres::ControlFile::Parameters& a,
                                           const postgres::ControlFile::Parameters& b) {
  return {.max_connections = std::max(a.max_connections, b.max_connections),
          .max_worker_processes = std::max(a.max_worker_processes, b.max_worker_processes),
          .max_wal_senders = std::max(a.max_wal_senders, b.max_wal_senders),
          .max_prepared_xacts = std::max(a.max_prepared_xacts, b.max_prepared_xacts),
          .max_locks_per_xact = std::max(a.max_locks_per_xact, b.max_locks_per_xact)};
}

}  // namespace pgrevive::cluster
