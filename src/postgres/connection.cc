#include "postgres/connection.h"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::postgres {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kWaitingSlice{200};

// A hot standby takes no statement of a serializable transaction.
constexpr const char* kReadable = "-c default_transaction_isolation=read\\ committed";
constexpr const char* kUnhindered =
    "-c default_transaction_read_only=off -c lock_timeout=0 -c session_preload_libraries= "
    "-c local_preload_libraries=";

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

struct FreeMemory {
  void operator()(char* memory) const { PQfreemem(memory); }
};
using Memory = std::unique_ptr<char, FreeMemory>;

// Keyword and value arrays as libpq takes them.
class Parameters {
 public:
  explicit Parameters(const ConnectionOptions& options)
      : port_(std::to_string(options.port)),
        connect_timeout_(std::to_string(options.connect_timeout.count())),
        // As start-up options they hold from the first statement on and cost no round trip. A
        // commit of ours waits for no synchronous standby: one that is to be started after it would
        // be waited for for ever, which no timeout ends.
        options_(fmt::format(
            "{}{} {}{} -c synchronous_commit=local -c statement_timeout={}",
            options.search_path.empty() ? "" : "-c search_path=" + options.search_path + " ",
            kReadable, options.as_clients_do ? "" : kUnhindered,
            options.no_event_triggers ? " -c event_triggers=off" : "",
            options.statement_timeout.count())) {
    add("host", options.host.c_str());
    add("port", port_.c_str());
    add("user", options.user.c_str());
    add("dbname", options.database.c_str());
    if (!options.password.empty()) add("password", options.password.reveal().c_str());
    add("connect_timeout", connect_timeout_.c_str());
    add("options", options_.c_str());
    add("application_name", "pgrevive");
    add("client_encoding", "UTF8");
    // Kerberos libraries take their time to find out that there is no ticket.
    add("gssencmode", "disable");
    add(nullptr, nullptr);
  }

  const char* const* keywords() const { return keywords_.data(); }
  const char* const* values() const { return values_.data(); }

 private:
  void add(const char* keyword, const char* value) {
    keywords_.push_back(keyword);
    values_.push_back(value);
  }

  std::string port_;
  std::string connect_timeout_;
  std::string options_;
  std::vector<const char*> keywords_;
  std::vector<const char*> values_;
};

// Waits until the connection's socket is ready for `events`; false when the deadline comes first.
bool wait_for_socket(PGconn* connection, short events, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= milliseconds(0)) return false;
    pollfd poll_fd{PQsocket(connection), events, 0};
    const int ready = poll(&poll_fd, 1, static_cast<int>(std::min<long>(left.count(), 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // libpq runs into the same and says it better
  }
}

// The words of libpq on one line, without the place in the server's source that verbose messages
// end with.
std::string one_line(std::string_view text) {
  std::string result;
  for (const auto& part : split(trim(text), '\n')) {
    const auto line = trim(part);
    if (line.empty() || line.starts_with("LOCATION:")) continue;
    if (!result.empty()) result += "; ";
    result += line;
  }
  return result;
}

std::string_view field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? std::string_view() : std::string_view(text);
}

}  // namespace

struct Connection::State {
  explicit State(PGconn* opened) : connection(opened) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { PQfinish(connection); }

  // "postgres at /run/postgresql:5432", for messages.
  std::string describe() const {
    return fmt::format("{} at {}:{}", PQdb(connection), PQhost(connection), PQport(connection));
  }

  // The server's own words. The statement is not among them: it may hold a password (ALTER ROLE
  // takes none as a parameter).
  Error failure(const PGresult* result) const {
    const auto sqlstate = field(result, PG_DIAG_SQLSTATE);
    if (sqlstate.empty()) {
      return Error(ErrorKind::postgres, fmt::format("query on {} failed: {}", describe(),
                                                    one_line(PQerrorMessage(connection))));
    }
    auto text = fmt::format("{} {}: {}", field(result, PG_DIAG_SEVERITY_NONLOCALIZED), sqlstate,
                            field(result, PG_DIAG_MESSAGE_PRIMARY));
    for (const int code : {PG_DIAG_MESSAGE_DETAIL, PG_DIAG_MESSAGE_HINT}) {
      if (!field(result, code).empty()) text += fmt::format("; {}", field(result, code));
    }
    return Error(ErrorKind::postgres, fmt::format("query on {} failed: {}", describe(), text));
  }

  PGconn* connection;
  // The server ends a statement that takes too long. A server that is stopped or unreachable
  // cannot, so some seconds later we do.
  std::optional<milliseconds> answer_limit;
  std::function<void()> while_waiting;

  // False when the deadline comes first.
  bool wait(short events, Clock::time_point deadline) {
    while (while_waiting) {
      if (wait_for_socket(connection, events, std::min(deadline, Clock::now() + kWaitingSlice)))
        return true;
      if (Clock::now() >= deadline) return false;
      try {
        while_waiting();
      } catch (...) {
        cancel();
        throw;
      }
    }
    return wait_for_socket(connection, events, deadline);
  }

  // Asks the server to end what it does. One that cannot be asked ends it when it writes to us.
  void cancel() {
    char ignored[256];
    if (PGcancel* const handle = PQgetCancel(connection)) {
      PQcancel(handle, ignored, sizeof ignored);
      PQfreeCancel(handle);
    }
  }
};

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Connection Connection::open(const ConnectionOptions& options) {
  // The steps of PQconnectdb by hand: only so can the server's refusal come with its SQLSTATE, and
  // the limit hold for all addresses of a host together.
  const auto deadline = Clock::now() + options.connect_timeout;
  const Parameters parameters(options);
  auto state =
      std::make_unique<State>(PQconnectStartParams(parameters.keywords(), parameters.values(), 0));
  if (state->connection == nullptr) {
    throw Error(ErrorKind::system, "cannot connect to PostgreSQL: out of memory");
  }
  PGconn* const connection = state->connection;
  PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
  PQsetNoticeReceiver(
      connection, [](void*, const PGresult*) {}, nullptr);

  const auto failure = [&](const std::string& why) {
    return fmt::format("cannot connect to database {} at {}:{} as {}: {}", options.database,
                       options.host, options.port, options.user, why);
  };
  auto step = PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (step != PGRES_POLLING_OK) {
    if (step == PGRES_POLLING_FAILED)
      throw Error(ErrorKind::postgres, failure(one_line(PQerrorMessage(connection))));
    if (!wait_for_socket(connection, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
      throw NoAnswer(ErrorKind::postgres, failure(fmt::format("no answer within {} s",
                                                              options.connect_timeout.count())));
    }
    step = PQconnectPoll(connection);
  }
  if (options.statement_timeout > milliseconds(0)) {
    state->answer_limit = options.statement_timeout + std::chrono::seconds(5);
  }
  state->while_waiting = options.while_waiting;
  return Connection(std::move(state));
}

std::vector<Row> Connection::query(const std::string& statement,
                                   const std::vector<std::string>& parameters) {
  PGconn* const connection = state_->connection;
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const auto& parameter : parameters) values.push_back(parameter.c_str());
  if (PQsendQueryParams(connection, statement.c_str(), static_cast<int>(values.size()), nullptr,
                        values.data(), nullptr, nullptr, 0) == 0) {
    throw state_->failure(nullptr);
  }

  const auto deadline =
      state_->answer_limit ? Clock::now() + *state_->answer_limit : Clock::time_point::max();
  const auto next_result = [&]() -> Result {
    while (true) {
      // Large parameters may have to wait until the server has read what came before.
      const bool sending = PQflush(connection) == 1;
      if (!sending && PQisBusy(connection) == 0) return Result(PQgetResult(connection));
      const auto events = static_cast<short>(sending ? POLLIN | POLLOUT : POLLIN);
      if (!state_->wait(events, deadline)) {
        throw Error(ErrorKind::postgres, fmt::format("{} does not answer", state_->describe()));
      }
      if (PQconsumeInput(connection) == 0) throw state_->failure(nullptr);
    }
  };

  const Result result = next_result();
  const auto status = PQresultStatus(result.get());
  if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
    throw Error(ErrorKind::internal, "COPY is not for Connection::query");
  }
  while (next_result() != nullptr) {
    // What a lost connection adds to its error; the first result has said all.
  }
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
    throw state_->failure(result.get());
  }

  std::vector<Row> rows(static_cast<std::size_t>(PQntuples(result.get())));
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    for (int column = 0; column < PQnfields(result.get()); ++column) {
      auto& value = rows[static_cast<std::size_t>(row)].emplace_back();
      if (PQgetisnull(result.get(), row, column) == 0) {
        value.emplace(PQgetvalue(result.get(), row, column),
                      static_cast<std::size_t>(PQgetlength(result.get(), row, column)));
      }
    }
  }
  return rows;
}

std::optional<std::string> Connection::value(const std::string& statement,
                                             const std::vector<std::string>& parameters) {
  auto rows = query(statement, parameters);
  if (rows.size() != 1 || rows[0].size() != 1) {
    throw Error(ErrorKind::postgres,
                fmt::format("query on {} returned {} rows with {} columns instead of one value",
                            state_->describe(), rows.size(), rows.empty() ? 0 : rows[0].size()));
  }
  return std::move(rows[0][0]);
}

std::string Connection::quote_identifier(const std::string& name) const {
  const Memory quoted(PQescapeIdentifier(state_->connection, name.data(), name.size()));
  if (!quoted) throw state_->failure(nullptr);
  return quoted.get();
}

std::string Connection::quote_literal(const std::string& text) const {
  const Memory quoted(PQescapeLiteral(state_->connection, text.data(), text.size()));
  if (!quoted) throw state_->failure(nullptr);
  return quoted.get();
}

int Connection::server_version() const { return PQserverVersion(state_->connection); }

Readiness ping(const ConnectionOptions& options) {
  const Parameters parameters(options);
  switch (PQpingParams(parameters.keywords(), parameters.values(), 0)) {
    case PQPING_OK:
      return Readiness::accepting;
    case PQPING_REJECT:
      return Readiness::rejecting;
    case PQPING_NO_RESPONSE:
    case PQPING_NO_ATTEMPT:
      break;
  }
  return Readiness::no_response;
}

}  // namespace pgrevive::postgres
