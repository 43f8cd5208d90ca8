#include "postgres/connection.h"

#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/real_server.h"
#include "support/throws.h"

namespace pgrevive::postgres {
namespace {

using test::throws;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Property;
using testing::Throws;
using namespace std::chrono_literals;

class NoServer : public testing::Test {
 protected:
  ConnectionOptions options() const {
    ConnectionOptions options;
    options.host = directory_.path().string();
    return options;
  }
  test::TempDir directory_;
};

TEST_F(NoServer, DoesNotRespond) { EXPECT_EQ(ping(options()), Readiness::no_response); }

TEST_F(NoServer, CannotBeConnectedTo) {
  EXPECT_THAT([&] { Connection::open(options()); },
              throws(ErrorKind::postgres, "cannot connect to database postgres at " +
                                              directory_.path().string() + ":5432 as postgres: "));
}

// One server for all tests of a process. CTest runs each test as one and a server takes its second
// to make, so the tests are few.
class OpenConnection : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<test::RealServer>();
    server_->start();
  }
  static void TearDownTestSuite() { server_.reset(); }

  static Connection open() { return Connection::open(server_->connection()); }

  static inline std::unique_ptr<test::RealServer> server_;
};

TEST_F(OpenConnection, AsksAndIsAnswered) {
  auto connection = open();
  EXPECT_EQ(ping(server_->connection()), Readiness::accepting);
  EXPECT_GE(connection.server_version(), 90600);

  EXPECT_THAT(
      connection.query("SELECT i, NULL, $1::text || i FROM generate_series(1, 2) i", {"it's "}),
      ElementsAre(ElementsAre("1", std::nullopt, "it's 1"),
                  ElementsAre("2", std::nullopt, "it's 2")));
  EXPECT_THAT(connection.query("SELECT 1 WHERE false"), ElementsAre());
  EXPECT_THAT(connection.query("CREATE TEMPORARY TABLE t (i int)"), ElementsAre());
  EXPECT_EQ(connection.value("SELECT NULL"), std::nullopt);
  EXPECT_EQ(connection.value("SELECT length($1)", {std::string(5'000'000, 'x')}), "5000000");
  EXPECT_THAT([&] { connection.value("SELECT 1, 2"); }, throws(ErrorKind::postgres, "2 columns"));
  EXPECT_THAT([&] { connection.value("SELECT 1 WHERE false"); },
              throws(ErrorKind::postgres, "0 rows"));
  EXPECT_EQ(connection.value("SHOW statement_timeout"), "30s");
  EXPECT_EQ(connection.value("SHOW application_name"), "pgrevive");

  for (const auto* setting :
       {"default_transaction_isolation = serializable", "lock_timeout = '1ms'",
        "default_transaction_read_only = on", "session_preload_libraries = 'no_such_library'",
        "local_preload_libraries = 'nor_this'"})
    connection.query(std::string("ALTER ROLE postgres SET ") + setting);
  auto options = server_->connection();
  const auto shown = [&] {
    return Connection::open(options).query(
        "SELECT current_setting('transaction_isolation'), current_setting('lock_timeout'), "
        "current_setting('transaction_read_only')");
  };
  EXPECT_THAT(shown(), ElementsAre(ElementsAre("read committed", "0", "off")));
  options.as_clients_do = true;
  EXPECT_THAT(shown, throws(ErrorKind::postgres, "no_such_library"));
  connection.query("ALTER ROLE postgres RESET session_preload_libraries");
  connection.query("ALTER ROLE postgres RESET local_preload_libraries");
  EXPECT_THAT(shown(), ElementsAre(ElementsAre("read committed", "1ms", "on")));
  connection.query("ALTER ROLE postgres RESET ALL");

  const std::string hostile = R"(a"b'c\d)";
  EXPECT_EQ(connection.value("SELECT " + connection.quote_literal(hostile)), hostile);
  EXPECT_THAT(connection.query("SELECT 1 AS " + connection.quote_identifier(hostile)),
              ElementsAre(ElementsAre("1")));

  testing::internal::CaptureStderr();
  connection.query("DO $$ BEGIN RAISE WARNING 'seen by nobody'; END $$");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(OpenConnection, FailsWithTheWordsOfTheServer) {
  auto connection = open();

  EXPECT_THAT(
      [&] { connection.query("SELECT * FROM nothing_like_it"); },
      throws(ErrorKind::postgres, "ERROR 42P01: relation \"nothing_like_it\" does not exist"));
  EXPECT_THAT([&] { connection.query("SELECT 1; SELECT 2"); },
              throws(ErrorKind::postgres, "42601"));
  EXPECT_THAT([&] { connection.query("ALTER ROLE nobody PASSWORD 'hunter2'"); },
              Throws<Error>(Property("text", &Error::text,
                                     AllOf(HasSubstr("42704"), Not(HasSubstr("hunter2"))))));
  EXPECT_EQ(connection.value("SELECT 1"), "1") << "the connection is as good as before";

  auto impatient = server_->connection();
  impatient.statement_timeout = 50ms;
  EXPECT_THAT([&] { Connection::open(impatient).query("SELECT pg_sleep(30)"); },
              throws(ErrorKind::postgres, "57014"));

  open().query("SELECT pg_terminate_backend(" + *connection.value("SELECT pg_backend_pid()") + ")");
  EXPECT_THAT([&] { connection.query("SELECT pg_sleep(5)"); },
              throws(ErrorKind::postgres, "57P01"));
  EXPECT_THAT([&] { connection.query("SELECT 1"); }, throws(ErrorKind::postgres));
}

TEST_F(OpenConnection, LetsOthersWorkWhileItWaitsAndCancelsWhatTheyEnd) {
  auto patient = server_->connection();
  patient.statement_timeout = 0ms;
  int looks = 0;
  bool stop = false;
  patient.while_waiting = [&] {
    ++looks;
    if (stop) throw Error(ErrorKind::cancelled, "asked to stop");
  };
  auto connection = Connection::open(patient);

  EXPECT_EQ(connection.value("SELECT 1 FROM pg_sleep(0.7)"), "1");
  EXPECT_GE(looks, 2);
  EXPECT_LE(looks, 4);
  stop = true;
  EXPECT_THAT([&] { connection.query("SELECT pg_sleep(600)"); }, throws(ErrorKind::cancelled));

  auto other = open();
  for (int i = 0; i < 100; ++i) {
    if (other.value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
                    "'%pg_sleep(600)' AND pid <> pg_backend_pid()") == "0")
      return;
    std::this_thread::sleep_for(50ms);
  }
  FAIL() << "the server still works on it";
}

TEST_F(OpenConnection, IsRefusedOrNotAnsweredWithinItsTime) {
  auto options = server_->connection();
  options.database = "no_such_database";
  EXPECT_THAT([&] { Connection::open(options); },
              Throws<Error>(Property("text", &Error::text,
                                     AllOf(HasSubstr("3D000"), HasSubstr("does not exist"),
                                           Not(HasSubstr("LOCATION"))))));
  EXPECT_EQ(ping(options), Readiness::accepting) << "it is there all the same";

  open().query("CREATE ROLE keeper LOGIN PASSWORD 'right'");
  server_->write("hba.conf", "local all keeper scram-sha-256\nlocal all all trust\n");
  reload_server(server_->data_directory());
  options = server_->connection();
  options.user = "keeper";
  options.password = Secret("wrong");
  ASSERT_TRUE(test::wait_until([&] {
    try {
      Connection::open(options);
      return false;
    } catch (const Error&) {
      return true;
    }
  })) << "the server has not read its new hba.conf";

  EXPECT_THAT([&] { Connection::open(options); },
              Throws<Error>(Property("text", &Error::text,
                                     AllOf(HasSubstr("28P01"), Not(HasSubstr("wrong"))))));
  options.password = Secret("right");
  EXPECT_THAT([&] { Connection::open(options); },
              throws(ErrorKind::postgres, "session_preload_libraries"));
  options.as_clients_do = true;
  EXPECT_EQ(Connection::open(options).value("SELECT current_user"), "keeper");

  // A server that is stopped says nothing, and is not waited for.
  options.connect_timeout = 1s;
  server_->process().send(SIGSTOP);
  EXPECT_THAT([&] { Connection::open(options); },
              Throws<NoAnswer>(Property(&Error::text, HasSubstr("no answer within 1 s"))));
  EXPECT_EQ(ping(options), Readiness::no_response);
  server_->process().send(SIGCONT);
}

}  // namespace
}  // namespace pgrevive::postgres
