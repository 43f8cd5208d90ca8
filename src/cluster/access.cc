#include "cluster/access.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/locales.h"
#include "postgres/role_files.h"

namespace pgrevive::cluster {

postgres::Connection Access::open(int port, const std::string& database,
                                  const std::function<void()>& while_waiting) const {
  try {
    return open_only(port, database, while_waiting);
  } catch (const postgres::NoAnswer&) {
    throw;
  } catch (const Error&) {
    // A cluster may have no database "postgres", but never none of these.
    if (database == "postgres") {
      try {
        return open_only(port, "template1", while_waiting);
      } catch (const Error&) {
      }
    }
    throw;
  }
}

postgres::Connection Access::open_only(int port, const std::string& database,
                                       const std::function<void()>& while_waiting) const {
  postgres::ConnectionOptions options{.host = socket_directory_.string(),
                                      .port = port,
                                      .database = database,
                                      .connect_timeout = patience_,
                                      // Nobody's tables before the catalog's: we are a superuser
                                      // in databases whose owners we do not know.
                                      .search_path = "pg_catalog",
                                      .no_event_triggers = version_.at_least(17)};
  if (while_waiting) {
    options.statement_timeout = std::chrono::milliseconds(0);
    options.while_waiting = while_waiting;
  }
  std::optional<Error> first;
  for (const auto& role : roles_) {
    try {
      options.user = role;
      auto connection = postgres::Connection::open(options);
      if (connection.value("select rolsuper from pg_roles where rolname = current_user") == "t")
        return connection;
      if (!first) first = Error(ErrorKind::postgres, "role " + role + " is not a superuser");
    } catch (const postgres::NoAnswer&) {
      throw;
    } catch (const Error& error) {
      // Only a superuser may say that no libraries are to be loaded.
      const bool plain_role =
          std::string(error.what()).find("session_preload_libraries") != std::string::npos &&
          std::string(error.what()).find("42501") != std::string::npos;
      if (!first)
        first =
            plain_role ? Error(ErrorKind::postgres, "role " + role + " is not a superuser") : error;
    }
  }
  auto error = first.value_or(Error(ErrorKind::internal, "no role to connect as"));
  if (error.hint().empty() && std::string(error.what()).find("28000") != std::string::npos)
    error.with_hint("set POSTGRES_USER to a role that is a superuser in the restored cluster");
  if (const auto locale = refused_for_locale(error.what())) error.with_hint(locale_remedy(*locale));
  throw error;
}

Access Access::within(std::chrono::seconds patience) const {
  Access hurried = *this;
  hurried.patience_ = patience;
  return hurried;
}

std::string Access::superuser(int port) const {
  return open(port).value("select current_user").value_or("");
}

postgres::Readiness Access::ping(int port) const {
  return postgres::ping({.host = socket_directory_.string(),
                         .port = port,
                         .connect_timeout = std::chrono::seconds(2),
                         // It may be let in, and is a session then.
                         .no_event_triggers = version_.at_least(17)});
}

std::vector<std::string> candidate_roles(const Settings& settings, const std::string& source_user,
                                         const std::filesystem::path& data_directory) {
  std::vector<std::string> roles = {settings.user};
  const auto add = [&](const std::string& role) {
    if (!role.empty() && std::ranges::find(roles, role) == roles.end()) roles.push_back(role);
  };
  add("postgres");
  add(source_user);
  if (const auto version = read_file_if_exists(data_directory / "PG_VERSION"))
    for (const auto& role :
         postgres::superusers_on_disk(data_directory, postgres::Version::parse(trim(*version))))
      add(role);
  return roles;
}

}  // namespace pgrevive::cluster
