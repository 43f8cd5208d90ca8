#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cluster/settings.h"
#include "postgres/connection.h"
#include "postgres/version.h"

namespace pgrevive::cluster {

// Connections to the cluster's servers as a superuser, through its own directory of sockets: peer
// authentication lets in the user the servers run as, and root.
class Access {
 public:
  // `roles` are tried in order: which of them exists in a restored cluster is not known before.
  // From 17 on the source's event triggers for a login do not run by our connections; the version
  // of the servers has to be told for that.
  Access(std::filesystem::path socket_directory, std::vector<std::string> roles,
         postgres::Version version)
      : socket_directory_(std::move(socket_directory)),
        roles_(std::move(roles)),
        version_(version) {}

  // Throws Error{postgres} when no role is let in, with what the server said to the first; a
  // server that says nothing for 20 s, as one on a host that is very busy may, is asked by no
  // further one.
  // Where there is no database "postgres" to be had, the connection is to template1.
  // With `while_waiting` (ConnectionOptions) statements may take as long as they like.
  postgres::Connection open(int port, const std::string& database = "postgres",
                            const std::function<void()>& while_waiting = {}) const;
  // To that database and no other.
  postgres::Connection open_only(int port, const std::string& database,
                                 const std::function<void()>& while_waiting = {}) const;
  // Which role was let in, and is a superuser.
  std::string superuser(int port) const;
  postgres::Readiness ping(int port) const;
  // The same, where each server has only that long to let us in: for a look that is taken again.
  Access within(std::chrono::seconds patience) const;

  const std::filesystem::path& socket_directory() const { return socket_directory_; }
  const std::vector<std::string>& roles() const { return roles_; }

 private:
  std::filesystem::path socket_directory_;
  std::vector<std::string> roles_;
  postgres::Version version_;
  std::chrono::seconds patience_{20};
};

// Roles that may be the superuser of a restored cluster: POSTGRES_USER, "postgres", who owned the
// source's files, since initdb names the superuser after its caller, and those that the files of
// the data directory tell of.
std::vector<std::string> candidate_roles(const Settings& settings, const std::string& source_user,
                                         const std::filesystem::path& data_directory);

}  // namespace pgrevive::cluster
