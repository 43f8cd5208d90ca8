#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/secret.h"

namespace pgrevive::postgres {

struct ConnectionOptions {
  std::string host;  // a name, an address, or a directory of sockets
  int port = 5432;
  std::string user = "postgres";
  std::string database = "postgres";
  Secret password;  // optional
  std::chrono::seconds connect_timeout{5};
  std::chrono::milliseconds statement_timeout{30'000};  // 0: none
  // Comes before what the database or the role says; empty: what they say.
  std::string search_path;
  // Transactions may be read-only by default, locks be waited for only so long, and libraries be
  // loaded, as the server, the database or the role have it. Otherwise nothing of that holds for
  // the session, and a superuser alone is let in.
  bool as_clients_do = false;
  // The server is 17 or later, and its event triggers for a login shall not run by this one.
  bool no_event_triggers = false;
  // Called about five times a second while a statement runs. What it throws cancels the statement
  // and leaves query(); open a new connection then.
  std::function<void()> while_waiting;
};

// A server that said nothing until connect_timeout: it would be no other for another role or
// database. Error{postgres}.
class NoAnswer : public Error {
 public:
  using Error::Error;
};

// One row's values as text; empty where NULL.
using Row = std::vector<std::optional<std::string>>;

// A libpq connection, whose commits are durable on that server and wait for no other, and whose
// transactions are read committed whatever the default is there. Used by one thread at a time.
class Connection {
 public:
  // Throws Error{postgres} with the server's words and their SQLSTATE, if it gave any:
  // "cannot connect to database ...: FATAL:  28P01: password authentication failed ...". Where
  // there was no answer at all it is NoAnswer.
  static Connection open(const ConnectionOptions& options);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  // Runs one statement with $1, $2, ... bound to `parameters`. Throws Error{postgres} with
  // severity, SQLSTATE, message, detail and hint of the server, never with the statement. A server
  // that does not answer some seconds after the statement's timeout is an error too; open a new
  // connection then. Notices are dropped.
  std::vector<Row> query(const std::string& statement,
                         const std::vector<std::string>& parameters = {});
  // The single value of a statement that returns one row with one column.
  std::optional<std::string> value(const std::string& statement,
                                   const std::vector<std::string>& parameters = {});

  std::string quote_identifier(const std::string& name) const;
  std::string quote_literal(const std::string& text) const;
  int server_version() const;  // 150018

 private:
  struct State;
  explicit Connection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What pg_isready would say. Never throws.
enum class Readiness { accepting, rejecting, no_response };
Readiness ping(const ConnectionOptions& options);

}  // namespace pgrevive::postgres
