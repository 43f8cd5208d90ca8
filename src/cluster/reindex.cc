#include "cluster/reindex.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cluster/collation_scan.h"
#include "cluster/locales.h"
#include "cluster/notices.h"
#include "cluster/reindex_plan.h"

namespace pgrevive::cluster {
namespace {

using namespace std::chrono_literals;

constexpr const char* kPrimary = "primary";
constexpr std::chrono::minutes kRestartLimit{10};

void save(const Site& site, CollationFindings findings) {
  for (auto& database : findings.databases) database.leave_out_unused();
  findings.save(site.directory.collations());
}

// What was left out of a partial cluster is zeros, and says nothing of collations.
CollationFindings look(Site& site, const Access& access, const NodeRecord& record) {
  std::vector<std::uint32_t> left_out;
  for (const auto& database : record.left_out) left_out.push_back(database.oid);
  return scan_collations(access, site.port(kPrimary), left_out);
}

void run_step(postgres::Connection& connection, const RepairStep& step) {
  // A lock that somebody never gives back (a prepared transaction of the source) costs one index
  // and not all.
  connection.query("set lock_timeout = '600s'");
  connection.query(step.statement);
}

class Reindex {
 public:
  Reindex(Site& site, const std::function<void()>& meanwhile)
      : site_(site),
        meanwhile_(meanwhile),
        record_(NodeRecord::load(site.directory, kPrimary).value_or(NodeRecord{})),
        access_(site.access(record_.source_user)) {}

  void run() {
    version_ = access_.open(site_.port(kPrimary)).server_version();
    const auto findings = look(site_, access_, record_);
    std::size_t total = 0;
    for (const auto& database : findings.databases)
      total += static_cast<std::size_t>(
          std::ranges::count(plan_repair(database, version_), Kind::reindex, &RepairStep::kind));
    site_.board.change([&](SupervisorStatus& status) { status.reindex->indexes_total = total; });
    for (const auto& database : findings.databases) repair(database);
    save(site_, look(site_, access_, record_));
  }

 private:
  using Kind = RepairStep::Kind;

  void repair(const DatabaseFindings& database) {
    if (const auto trouble = database.trouble(); !trouble.empty()) {
      if (!database.collations.empty()) fail(database.database + ": " + trouble);
      return;
    }
    // What no REINDEX can put right has to be said before the versions agree: nobody looks for it
    // then.
    warn_of_misplaced_rows(database);
    const auto failures = follow_plan(plan_repair(database, version_),
                                      [&](const RepairStep& step) { do_step(database, step); });
    for (const auto& failure : failures) fail(database.database + ": " + failure);
    if (!failures.empty()) drop_leftovers(database);
  }

  // What failed need not lie around until the next time.
  void drop_leftovers(const DatabaseFindings& database) {
    auto steps =
        plan_repair(scan_database(access_, site_.port(kPrimary), database.database), version_);
    std::erase_if(steps, [](const RepairStep& step) { return step.kind != Kind::drop_leftover; });
    for (const auto& failure :
         follow_plan(steps, [&](const RepairStep& step) { do_step(database, step); }))
      fail(database.database + ": " + failure);
  }

  void do_step(const DatabaseFindings& database, const RepairStep& step) {
    const bool index = step.kind == Kind::reindex;
    // Of hundreds of collations nobody reads the numbers.
    const bool many = step.kind == Kind::refresh && step.collations.size() > 1;
    site_.board.log(database.database + ": " +
                    (many ? "refresh version of " + step.object : step.statement));
    if (index)
      site_.board.change([&](SupervisorStatus& status) {
        status.reindex->now = step.object + " in " + database.database;
      });
    told_ = false;
    auto connection = connect(database);
    run_step(connection, step);
    if (index) site_.board.change([](SupervisorStatus& status) { ++status.reindex->indexes_done; });
  }

  // A connection for each step: one that was lost costs one step, and none grows old.
  postgres::Connection connect(const DatabaseFindings& database) {
    site_.wait_until(kPrimary, "the start of the primary", kRestartLimit, [&] {
      return access_.ping(site_.port(kPrimary)) == postgres::Readiness::accepting;
    });
    // Of template0, which lets nobody in, the version can be refreshed from elsewhere.
    if (!database.reachable) return access_.open(site_.port(kPrimary));
    return access_.open_only(site_.port(kPrimary), database.database, [this] {
      // What takes that long is worth telling.
      if (!std::exchange(told_, true)) site_.board.flush();
      site_.rest(0ms);
      site_.servers.tick();
      if (meanwhile_) meanwhile_();
    });
  }

  void warn_of_misplaced_rows(const DatabaseFindings& database) {
    if (database.partitioned.empty()) return;
    try {
      auto connection = connect(database);
      const auto [partitions, unknown] = misplaced_rows(connection, database.partitioned);
      for (const auto& partition : partitions)
        site_.board.warn(notice("rows_misplaced", database.database, partition));
      for (const auto& table : unknown)
        site_.board.warn(notice("rows_not_looked_at", database.database, table));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      fail(database.database + ": " + error.what());
    }
  }

  void fail(const std::string& text) {
    site_.board.log("error: " + text);
    site_.board.change([&](SupervisorStatus& status) { status.reindex->failures.push_back(text); });
  }

  Site& site_;
  const std::function<void()>& meanwhile_;
  NodeRecord record_;
  Access access_;
  int version_ = 0;
  bool told_ = true;  // the step under way is in status.json
};

}  // namespace

void look_at_collations(Site& site, const NodeRecord& record) {
  try {
    auto findings = look(site, site.access(record.source_user), record);
    for (const auto& database : findings.databases)
      if (!database.error.empty())
        site.board.log("database " + database.database +
                       " could not be looked into: " + database.error);
    save(site, std::move(findings));
  } catch (const Error& error) {
    site.board.log("the collations could not be looked at: " + error.text());
  }
}

void check_locale_of(const Site& site, const Access& access, const std::string& database) {
  try {
    access.open_only(site.port(kPrimary), database);
  } catch (const Error& error) {
    const auto locale = refused_for_locale(error.what());
    if (!locale) return;  // whatever it is, who needs it will say so
    throw Error(ErrorKind::not_found, "nobody can connect to database " + database +
                                          ": this host does not have its locale " + *locale)
        .with_hint(locale_remedy(*locale));
  }
}

void make_template_usable(Site& site, const Access& access) {
  auto connection = access.open(site.port(kPrimary));
  check_locale_of(site, access, "template1");
  auto findings = scan_database(access, site.port(kPrimary), "template1");
  // The rest of it may wait for `start --reindex`.
  std::erase_if(findings.collations, [](const ChangedCollation& collation) {
    return collation.oid != kDefaultCollation;
  });
  std::erase_if(findings.indexes, [](const AffectedIndex& index) {
    return std::ranges::find(index.collations, kDefaultCollation) == index.collations.end();
  });
  if (findings.collations.empty() || !findings.reachable) return;
  const auto failures =
      follow_plan(plan_repair(findings, connection.server_version()), [&](const RepairStep& step) {
        site.board.log("template1: " + step.statement);
        auto there = access.open_only(site.port(kPrimary), "template1", [&] { site.rest(0ms); });
        run_step(there, step);
      });
  for (const auto& failure : failures) site.board.log("error: template1: " + failure);
}

bool reindex_is_asked_for(const StateDirectory& directory) {
  std::error_code ignored;
  return std::filesystem::exists(directory.reindex_request(), ignored);
}

void ask_for_reindex(const StateDirectory& directory) {
  write_file_atomic(directory.reindex_request(), "");
}

void reindex_if_asked(Site& site, const std::function<void()>& meanwhile) {
  if (!reindex_is_asked_for(site.directory)) return;
  site.board.change([](SupervisorStatus& status) { status.reindex = ReindexProgress{}; });
  site.board.enter(Phase::reindexing);
  try {
    Reindex(site, meanwhile).run();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    site.board.log("error: " + error.text());
    site.board.change(
        [&](SupervisorStatus& status) { status.reindex->failures.emplace_back(error.what()); });
  }
  site.board.change([](SupervisorStatus& status) { status.reindex->now.clear(); });
  std::error_code ignored;
  std::filesystem::remove(site.directory.reindex_request(), ignored);
}

}  // namespace pgrevive::cluster
