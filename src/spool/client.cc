#include "spool/client.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "spool/spool.h"
#include "spool/words.h"

namespace pgrevive::spool {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The system identifier from pg_control; empty where the cluster must not be helped this way: the
// whole program knows what to say about it.
std::optional<std::uint64_t> system_id(const std::string& data_directory) {
  // docs/format/pg_control.md: the same places in every version.
  constexpr std::size_t kSystemIdAt = 0;
  constexpr std::size_t kCheckpointAt = 32;
  constexpr std::uint64_t kSpoiledCheckpoint = 0xDEAD;
  const auto control = read_small_file(data_directory + "/global/pg_control");
  if (!control || control->size() < kCheckpointAt + sizeof(std::uint64_t)) return {};
  std::uint64_t id = 0;
  std::uint64_t checkpoint = 0;
  std::memcpy(&id, control->data() + kSystemIdAt, sizeof id);
  std::memcpy(&checkpoint, control->data() + kCheckpointAt, sizeof checkpoint);
  if (checkpoint == kSpoiledCheckpoint &&
      ::access((data_directory + "/backup_label").c_str(), F_OK) != 0) {
    return {};
  }
  return id;
}

void set_limit(int socket, int option, std::chrono::milliseconds limit) {
  const timeval time{.tv_sec = limit.count() / 1000, .tv_usec = limit.count() % 1000 * 1000};
  ::setsockopt(socket, SOL_SOCKET, option, &time, sizeof time);
}

// Whether the prefetcher says that the segment is in the spool.
bool ask(const std::string& spool, const std::string& question, const Patience& patience) {
  const Descriptor directory(::open(spool.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return false;
  const Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return false;
  // Connecting waits too, where nobody takes what came before.
  set_limit(socket.get(), SO_SNDTIMEO, patience.silence);
  set_limit(socket.get(), SO_RCVTIMEO, patience.silence);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = socket_path(directory.get());
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);

  const auto give_up_if_stuck = [&] {
    if (errno == EAGAIN || errno == EWOULDBLOCK) ::unlinkat(directory.get(), kSocket, 0);
    return false;
  };
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return give_up_if_stuck();
  if (::send(socket.get(), question.data(), question.size(), MSG_NOSIGNAL) < 0)
    return give_up_if_stuck();
  const auto end = std::chrono::steady_clock::now() + patience.all;
  while (std::chrono::steady_clock::now() < end) {
    char answer = 0;
    const auto size = ::recv(socket.get(), &answer, 1, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return give_up_if_stuck();
    if (size == 0) return false;
    if (answer == static_cast<char>(Answer::ready)) return true;
    if (answer != static_cast<char>(Answer::working)) return false;
  }
  return false;
}

}  // namespace

std::optional<Request> parse(const std::vector<std::string>& words) {
  const auto [options, names, strange] = split(words);
  if (strange) return {};
  Request request{.data_directory = "."};
  for (const auto& [name, value] : options) {
    if (name == "--fork") request.fork = value;
    if (name == "--line" && !is_whole_on(value, names.empty() ? std::string() : names[0]))
      return {};
    if (name == "--report") request.report = value;
    if (name == "--data-directory") request.data_directory = value;
  }
  if (names.size() != 2 || !is_segment_name(names[0]) || names[1].empty()) return {};
  request.name = names[0];
  request.archive = archive_named_by(words);
  request.destination =
      names[1].starts_with('/') ? names[1] : request.data_directory + "/" + names[1];
  return request;
}

bool take(const Request& request, const Patience& patience) {
  const auto spool = directory_of(request.destination) + "/" + kDirectory;
  // Most servers have none.
  if (::access(spool.c_str(), X_OK) != 0) return false;
  Key key;
  key.boot_id = boot_id();
  const auto id = system_id(request.data_directory);
  if (!id || key.boot_id.empty()) return false;
  key.system_id = *id;
  key.archive = request.archive;
  if (!request.fork.empty()) {
    auto fork = read_small_file(request.fork);
    if (!fork || fork->empty()) return false;
    key.fork = *std::move(fork);
  }
  const auto key_text = key.text();
  const auto segment = spool + "/" + key_text + "/" + request.name;
  const auto taken = [&] { return ::rename(segment.c_str(), request.destination.c_str()) == 0; };
  if (taken()) return true;
  return ask(spool, key_text + " " + request.name, patience) && taken();
}

}  // namespace pgrevive::spool
