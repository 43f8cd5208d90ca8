#include "cluster/adminer.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/notices.h"

namespace pgrevive::cluster {
namespace {

constexpr const char* kAdminer = "/usr/share/adminer/adminer.php";  // Debian's package

// A PHP string in single quotes.
std::string php(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

// Every page names its driver and server in the query, and the form names them in `auth`, so what
// is refused here never reaches Adminer, whose own form would connect to any host.
constexpr const char* kGuard = R"(
$pgrevive_auth = isset($_POST['auth']) ? $_POST['auth'] : null;
$pgrevive_allowed = true;
foreach (array('server', 'sqlite', 'sqlite2', 'oracle', 'mssql', 'mongo', 'elastic', 'simpledb',
               'firebird', 'clickhouse') as $pgrevive_driver) {
    if (isset($_GET[$pgrevive_driver])) $pgrevive_allowed = false;
}
if (isset($_GET['username']) || isset($_GET['pgsql'])) {
    $pgrevive_allowed = $pgrevive_allowed && isset($_GET['pgsql']) && is_string($_GET['pgsql'])
        && isset($pgrevive_servers[$_GET['pgsql']]);
}
if ($pgrevive_auth !== null) {
    $pgrevive_allowed = $pgrevive_allowed && is_array($pgrevive_auth)
        && isset($pgrevive_auth['driver']) && $pgrevive_auth['driver'] === 'pgsql'
        && isset($pgrevive_auth['server']) && is_string($pgrevive_auth['server'])
        && isset($pgrevive_servers[$pgrevive_auth['server']]);
}
if (!$pgrevive_allowed) {
    http_response_code(403);
    header('Content-Type: text/plain; charset=utf-8');
    exit("Only the servers of this cluster can be reached here.\n");
}

function adminer_object() {
    class PgreviveAdminer extends Adminer {
        function name() {
            return 'Adminer';
        }
        function head() {
            echo script('verifyVersion = function () {};'); // no request to adminer.org
            return true;
        }
        function serverName($server) {
            global $pgrevive_servers;
            return h(isset($pgrevive_servers[$server]) ? $pgrevive_servers[$server] : $server);
        }
        function loginForm() {
            global $pgrevive_servers, $pgrevive_user, $pgrevive_database;
            $user = isset($_GET['username']) ? $_GET['username'] : $pgrevive_user;
            $database = isset($_GET['db']) ? $_GET['db'] : $pgrevive_database;
            echo "<input type='hidden' name='auth[driver]' value='pgsql'>\n";
            echo "<table cellspacing='0' class='layout'>\n<tr><th>" . lang('Server') . "<td>";
            echo "<select name='auth[server]'>";
            foreach ($pgrevive_servers as $address => $title) {
                $selected = isset($_GET['pgsql']) && $_GET['pgsql'] === $address ? ' selected' : '';
                echo "<option value='" . h($address) . "'$selected>" . h($title);
            }
            echo "</select>\n<tr><th>" . lang('Username');
            echo "<td><input name='auth[username]' value='" . h($user) . "' autocapitalize='off'>";
            echo "\n<tr><th>" . lang('Password') . "<td><input type='password'";
            echo " name='auth[password]' autocomplete='current-password'>\n<tr><th>";
            echo lang('Database') . "<td><input name='auth[db]' value='" . h($database);
            echo "' autocapitalize='off'>\n</table>\n";
            echo "<p><input type='submit' value='" . lang('Login') . "'>\n";
        }
    }
    return new PgreviveAdminer;
}
)";

std::filesystem::path page_file(const StateDirectory& directory) {
  return directory.adminer() / "index.php";
}

SideProgram program_of(const StateDirectory& directory) {
  return {.name = "Adminer's web server",
          .pid_file = directory.run() / "adminer.pid",
          .mark = page_file(directory).string()};
}

// Where a client on this host finds something that listens on `address`.
std::string reachable(const std::string& address) {
  if (address == "0.0.0.0" || address == "*") return "127.0.0.1";
  if (address == "::") return "::1";
  return address;
}

std::string host_and_port(const std::string& address, int port) {
  const bool ipv6 = address.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", address, ipv6 ? "]" : "", port);
}

// What the server says to a GET of "/", as far as it comes within the limit.
std::string get_page(const std::string& host, int port, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  const auto wait = [&](int fd, short events) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    return left.count() > 0 && ::poll(&entry, 1, static_cast<int>(left.count())) == 1;
  };
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  const Fd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return {};
  if (::connect(fd.get(), found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS)
    return {};
  if (!wait(fd.get(), POLLOUT)) return {};
  const auto request = fmt::format("GET / HTTP/1.0\r\nHost: {}\r\n\r\n", host_and_port(host, port));
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    return {};
  std::string answer;
  std::array<char, 4096> buffer{};
  while (answer.size() < (64u << 10) && wait(fd.get(), POLLIN)) {
    const auto size = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (size <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return answer;
}

}  // namespace

std::string adminer_page(const std::vector<AdminerServer>& servers, const std::string& user,
                         const std::string& database) {
  std::string page = "<?php\n// Written by pgrevive at every start.\n$pgrevive_servers = array(\n";
  for (const auto& server : servers)
    page += "    " + php(server.address) + " => " + php(server.name) + ",\n";
  page += ");\n$pgrevive_user = " + php(user) + ";\n$pgrevive_database = " + php(database) + ";\n";
  page += kGuard;
  page += "\ninclude " + php(kAdminer) + ";\n";
  return page;
}

std::string local_address(const std::string& listen_addresses) {
  std::string first;
  for (const auto& part : split(listen_addresses, ',')) {
    const auto address = std::string(trim(part));
    if (address == "*" || address == "localhost" || address == "127.0.0.1" || address == "0.0.0.0")
      return "127.0.0.1";
    // PostgreSQL's "::" takes IPv4 as well only where the system is set so.
    if (first.empty() && !address.empty()) first = reachable(address);
  }
  return first;
}

Adminer::Adminer(const Settings& settings, const StateDirectory& directory, StatusBoard& board)
    : settings_(settings),
      directory_(directory),
      board_(board),
      process_(board, program_of(directory)) {}

void Adminer::start() {
  if (settings_.adminer_port == 0) return;
  const auto address = local_address(settings_.listen_addresses);
  std::error_code ignored;
  if (!find_program("php")) {
    board_.warn(notice("adminer_no_php"));
    return;
  }
  if (!std::filesystem::exists(kAdminer, ignored)) {
    board_.warn(notice("adminer_not_installed"));
    return;
  }
  if (run({.program = "php", .arguments = {"-r", "exit(extension_loaded('pgsql') ? 0 : 1);"}}, {},
          std::chrono::seconds(20))
          .status.ok() == false) {
    board_.warn(notice("adminer_no_pgsql"));
    return;
  }
  if (!settings_.containers && (address.empty() || address.find(':') != std::string::npos)) {
    board_.warn(notice("adminer_no_ipv4"));
    return;
  }
  make_directories(directory_.adminer());
  make_directories(directory_.run() / "php");
  std::vector<AdminerServer> servers;
  for (const auto& node : node_names(settings_.replicas)) {
    const int port = port_of(settings_, node);
    servers.push_back({.name = fmt::format("{} ({})", node, port),
                       .address = settings_.containers
                                      ? host_and_port(host_of(settings_, node), kContainerPort)
                                      : host_and_port(address, port)});
  }
  write_file_atomic(page_file(directory_),
                    adminer_page(servers, settings_.user, settings_.database));
  const auto temporary = (directory_.run() / "php").string();
  process_.start(
      {.program = "php",
       .arguments = {"-d", "session.save_path=" + temporary, "-d", "sys_temp_dir=" + temporary,
                     "-d", "display_errors=0", "-S",
                     host_and_port(settings_.adminer_listen, settings_.adminer_port), "-t",
                     directory_.adminer().string(), page_file(directory_).string()},
       .log = directory_.root() / "logs" / "adminer.log",
       .without_core = true});
}

void Adminer::tick() { process_.tick(); }

void Adminer::stop() { process_.stop(); }

std::optional<pid_t> find_adminer(const StateDirectory& directory) {
  return find_side_process(program_of(directory));
}

bool stop_orphaned_adminer(const StateDirectory& directory) {
  return stop_side_process(program_of(directory));
}

bool adminer_answers(const Settings& settings, std::chrono::milliseconds limit) {
  if (settings.adminer_port == 0) return false;
  const auto answer =
      settings.containers
          ? get_page(host_of(settings, "adminer"), kContainerAdminerPort, limit)
          : get_page(reachable(settings.adminer_listen), settings.adminer_port, limit);
  return answer.find(" 200 ") != std::string::npos &&
         answer.find("auth[driver]") != std::string::npos;
}

std::string url_of(const std::string& listen, int port) {
  if (port == 0) return {};
  return "http://" + host_and_port(reachable(listen), port) + "/";
}

std::string adminer_url(const Settings& settings) {
  return url_of(settings.adminer_listen, settings.adminer_port);
}

}  // namespace pgrevive::cluster
