#include "cluster/source_settings.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "cluster/notices.h"

namespace pgrevive::cluster {
namespace {

using std::string_view;

// A name, or the beginning of names where it ends with '*'.
bool matches(string_view pattern, string_view name) {
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == name;
}

// Settings that mean the same on every host, or that hot standby and the data depend on. The sizes
// of the WAL are among these: initdb fits them to the size of its segments, and with less than two
// a server does not start.
constexpr auto kSafe = std::to_array<string_view>({
    "array_nulls",
    "autovacuum*",
    "backslash_quote",
    "bytea_output",
    "check_function_bodies",
    "checkpoint_completion_target",
    "checkpoint_timeout",
    "client_encoding",
    "client_min_messages",
    "commit_delay",
    "commit_siblings",
    "compute_query_id",
    "constraint_exclusion",
    "cpu_*",
    "cursor_tuple_fraction",
    "datestyle",
    "deadlock_timeout",
    "default_statistics_target",
    "default_text_search_config",
    "default_toast_compression",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "enable_*",
    "escape_string_warning",
    "extra_float_digits",
    "from_collapse_limit",
    "geqo*",
    "gin_*",
    "hash_mem_multiplier",
    "icu_validation_level",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit*",
    "join_collapse_limit",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lo_compat_privileges",
    "lock_timeout",
    "log_autovacuum_min_duration",
    "log_checkpoints",
    "log_connections",
    "log_disconnections",
    "log_duration",
    "log_error_verbosity",
    "log_lock_waits",
    "log_min_duration_sample",
    "log_min_duration_statement",
    "log_min_error_statement",
    "log_min_messages",
    "log_statement",
    "log_statement_sample_rate",
    "log_temp_files",
    "log_timezone",
    "max_active_replication_origins",
    "max_connections",
    "max_locks_per_transaction",
    "max_parallel_*",
    "max_pred_locks_*",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_wal_senders",
    "max_wal_size",
    "max_worker_processes",
    "min_parallel_*",
    "min_wal_size",
    "old_snapshot_threshold",
    "parallel_leader_participation",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "plan_cache_mode",
    "quote_all_identifiers",
    "random_page_cost",
    "row_security",
    "search_path",
    "seq_page_cost",
    "standard_conforming_strings",
    "statement_timeout",
    "stats_*",
    "superuser_reserved_connections",
    "reserved_connections",
    "synchronize_seqscans",
    "timezone",
    "track_*",
    "transform_null_equals",
    "vacuum_*",
    "wal_compression",
    "wal_level",
    "wal_log_hints",
    "xmlbinary",
    "xmloption",
});

struct Reason {
  string_view pattern;
  string_view text;
};

// The first that matches is given.
constexpr auto kReasons = std::to_array<Reason>({
    {"port", "the cluster has its own"},
    {"listen_addresses", "the cluster has its own"},
    {"unix_socket_*", "the cluster has its own"},
    {"bonjour*", "the cluster has its own"},
    {"cluster_name", "the cluster has its own"},
    {"data_directory", "the cluster has its own files"},
    {"config_file", "the cluster has its own files"},
    {"hba_file", "the cluster has its own files"},
    {"ident_file", "the cluster has its own files"},
    {"external_pid_file", "the cluster has its own files"},
    {"include*", "names a file of the source's host"},
    {"stats_temp_directory", "names a directory of the source's host"},
    {"ssl*", "names certificates of the source's host"},
    {"krb_*", "belongs to the source's host"},
    {"gss_*", "belongs to the source's host"},
    {"password_encryption", "the cluster uses scram-sha-256"},
    {"archive_*", "a copy must not archive where the source does"},
    {"restore_command", "the cluster recovers by its own rules"},
    {"recovery_*", "the cluster recovers by its own rules"},
    {"primary_*", "a copy must not follow the source's primary"},
    {"promote_trigger_file", "the cluster recovers by its own rules"},
    {"synchronous_standby_names", "names standbys of the source"},
    {"standby_slot_names", "names standbys of the source"},
    {"synchronized_standby_slots", "names standbys of the source"},
    {"sync_replication_slots", "belongs to the source's replication"},
    {"wal_keep_*", "the cluster has its own"},
    {"max_slot_wal_keep_size", "the cluster has its own"},
    {"hot_standby*", "the cluster has its own"},
    {"log_*", "the cluster writes its own log"},
    {"logging_collector", "the cluster writes its own log"},
    {"syslog_*", "the cluster writes its own log"},
    {"event_source", "the cluster writes its own log"},
    {"fsync", "a crash could lose data"},
    {"full_page_writes", "a crash could lose data on another file system"},
    {"synchronous_commit", "may wait for standbys of the source"},
    {"autovacuum_work_mem", "sized for the source's host"},
    {"shared_buffers", "sized for the source's host"},
    {"effective_cache_size", "sized for the source's host"},
    {"effective_io_concurrency", "sized for the source's host"},
    {"maintenance_io_concurrency", "sized for the source's host"},
    {"work_mem", "sized for the source's host"},
    {"maintenance_work_mem", "sized for the source's host"},
    {"logical_decoding_work_mem", "sized for the source's host"},
    {"temp_buffers", "sized for the source's host"},
    {"wal_buffers", "sized for the source's host"},
    {"huge_page*", "sized for the source's host"},
    {"max_stack_depth", "sized for the source's host"},
    {"max_files_per_process", "sized for the source's host"},
    {"dynamic_shared_memory_type", "bound to the source's operating system"},
    {"shared_memory_type", "bound to the source's operating system"},
    {"dynamic_library_path", "names a directory of the source's host"},
    {"temp_tablespaces", "names a place of the source's host"},
});

// Libraries whose background workers do something to other systems, or by the clock, as soon as the
// server runs: a copy of production must not act as production.
constexpr auto kActing = std::to_array<string_view>(
    {"citus", "pgactive", "pg_task", "pglogical_ticker",  // citus: on its workers, production's
     "pg_cron", "pg_partman_bgw", "pg_net", "pg_timetable", "pglogical", "spock", "bdr", "repmgr",
     "pg_squeeze", "powa", "pg_failover_slots", "pgautofailover"});

// A library whose data cannot be read without it, and that has a setting without which its workers
// are not begun. It is set also where the library is missing: who installs and loads it then has
// asked for its data, and not for what its jobs delete and send.
struct Held {
  string_view library;
  string_view setting;
  string_view value;
};
constexpr auto kHeld =
    std::to_array<Held>({{"timescaledb", "timescaledb.max_background_workers", "0"}});

bool preloads(string_view name) {
  return name == "shared_preload_libraries" || name == "session_preload_libraries" ||
         name == "local_preload_libraries";
}

// "$libdir/x", "/usr/lib/.../x.so" and "x" are all the library x.
std::string library_name(string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
    text = text.substr(1, text.size() - 2);
  if (const auto slash = text.rfind('/'); slash != string_view::npos) text.remove_prefix(slash + 1);
  if (text.ends_with(".so")) text.remove_suffix(3);
  return std::string(text);
}

// Who sets local_preload_libraries need be nobody, and gets no others.
std::string place_of(string_view setting, const std::string& library) {
  return setting == "local_preload_libraries" ? "plugins/" + library : library;
}

// Before the dot of its settings' names.
string_view prefix_of(string_view library) {
  if (library == "pg_cron") return "cron";
  if (library == "pg_squeeze") return "squeeze";
  return library;
}

std::string reason_for(string_view name) {
  for (const auto& reason : kReasons)
    if (matches(reason.pattern, name)) return std::string(reason.text);
  return "not known to be safe on another host";
}

class Chooser {
 public:
  explicit Chooser(const HostFacts& facts) : facts_(facts) {}

  void preload(const std::string& name, const std::string& value) {
    std::string kept;
    for (const auto& part : split(value, ',')) {
      const auto library = library_name(part);
      if (library.empty()) continue;
      hold(library);
      if (std::ranges::find(kActing, library) != kActing.end()) {
        drop(name, library + " would act on its own; ALTER SYSTEM and a restart load it");
        // They do nothing without it, and ALTER SYSTEM knows them only with it.
        prefixes_.emplace(prefix_of(library));
      } else if (!facts_.has_library(place_of(name, library))) {
        drop(name, library + " is not installed here");
      } else {
        prefixes_.emplace(prefix_of(library));
        kept += (kept.empty() ? "" : ",") + library;
      }
    }
    if (!kept.empty()) keep(name, kept);
  }

  void plain(const std::string& name, const std::string& value) {
    if (const auto dot = name.find('.'); dot != std::string::npos) {
      if (held_.contains(name)) return;
      if (prefixes_.contains(name.substr(0, dot)))
        keep(name, value);
      else
        drop(name, "its library is not loaded");
      return;
    }
    if (is_bound(name) || !is_safe(name)) return drop(name, reason_for(name));
    if (name == "jit_provider" && !facts_.has_library(library_name(value)))
      return drop(name, library_name(value) + " is not installed here");
    if (name == "wal_level" && value != "logical") return drop(name, "the cluster has its own");
    if (name == "default_transaction_isolation" && lower(value) == "serializable")
      return drop(name, "no query works with it on a hot standby");
    if (name.starts_with("lc_") && !facts_.has_locale(value))
      return drop(name, "the locale " + value + " is not installed here");
    if ((name == "timezone" || name == "log_timezone") && !facts_.has_time_zone(value))
      return drop(name, "the time zone " + value + " is not known here");
    keep(name, value);
  }

  SourceSettings finish() {
    std::ranges::sort(result_.kept, {}, &postgres::Setting::name);
    std::ranges::sort(result_.dropped);
    return std::move(result_);
  }

 private:
  // By its own name: of a family that is safe otherwise.
  static bool is_bound(string_view name) {
    return std::ranges::find(kReasons, name, &Reason::pattern) != kReasons.end();
  }
  static bool is_safe(string_view name) {
    return std::ranges::any_of(kSafe, [&](string_view safe) { return matches(safe, name); });
  }
  void hold(string_view library) {
    for (const auto& held : kHeld) {
      if (held.library != library || !held_.insert(std::string(held.setting)).second) continue;
      keep(std::string(held.setting), std::string(held.value));
      drop(std::string(held.setting),
           fmt::format("{} here, since its jobs would act on their own; ALTER SYSTEM and a restart "
                       "set them to work",
                       held.value));
    }
  }
  void keep(const std::string& name, const std::string& value) {
    result_.kept.push_back({name, value});
  }
  void drop(const std::string& name, const std::string& reason) {
    result_.dropped.push_back(name + ": " + reason);
  }

  const HostFacts& facts_;
  SourceSettings result_;
  std::set<std::string, std::less<>> prefixes_;  // of settings that libraries have
  std::set<std::string, std::less<>> held_;      // settings that hold() has decided
};

}  // namespace

SourceSettings choose_source_settings(const std::map<std::string, std::string>& settings,
                                      const HostFacts& facts) {
  Chooser chooser(facts);
  // Libraries first: whether an extension's settings are kept depends on them.
  for (const auto& [name, value] : settings)
    if (preloads(name)) chooser.preload(name, value);
  for (const auto& [name, value] : settings)
    if (!preloads(name)) chooser.plain(name, value);
  return chooser.finish();
}

std::optional<Notice> own_setting_trouble(const std::string& whose, const std::string& setting,
                                          const HostFacts& facts) {
  const auto equals = setting.find('=');
  if (equals == std::string::npos) return {};
  const auto name = lower(setting.substr(0, equals));
  const auto value = setting.substr(equals + 1);
  if (name == "default_transaction_isolation" && lower(value) == "serializable")
    return notice("setting_serializable", whose, name);
  if (!preloads(name)) return {};
  std::string missing;
  for (const auto& part : split(value, ',')) {
    const auto library = library_name(part);
    if (!library.empty() && !facts.has_library(place_of(name, library)))
      missing += (missing.empty() ? "" : ", ") + library;
  }
  if (missing.empty()) return {};
  return notice("setting_library", whose, name, printable(missing));
}

}  // namespace pgrevive::cluster
