#include "cluster/change_lock.h"

#include <chrono>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::cluster {
namespace {

constexpr std::chrono::milliseconds kPause{100};

// What the one who has the lock wrote into it, or the one before him, for a moment.
struct Holder {
  std::string pid;
  std::string what;
};

std::optional<Holder> read_holder(const StateDirectory& directory) {
  const auto text = read_file_if_exists(directory.change_lock());
  if (!text) return {};
  const auto gap = text->find(' ');
  if (gap == std::string::npos || !parse_unsigned(text->substr(0, gap))) return {};
  return Holder{.pid = text->substr(0, gap), .what = printable(trim(text->substr(gap + 1)), 40)};
}

bool throws_away(const std::optional<Holder>& holder) { return holder && holder->what != kStart; }

[[noreturn]] void refuse(const std::optional<Holder>& holder) {
  if (!throws_away(holder))
    throw Error(ErrorKind::busy, "another start of this cluster" +
                                     (holder ? " (pid " + holder->pid + ")" : std::string()) +
                                     " does not come to its end")
        .with_hint("end that one, then try again");
  throw Error(ErrorKind::busy, "another process (`" + holder->what + "`, pid " + holder->pid +
                                   ") is throwing this cluster away")
      .with_hint(
          "wait until it is done, or end it; what it has begun is completed by the same "
          "command");
}

}  // namespace

ChangeLock ChangeLock::take(const StateDirectory& directory, const std::string& what) {
  constexpr int kPatience = 600;
  constexpr int kSettled = 5;  // who asks whether it is held has it for a moment
  const auto path = directory.change_lock();
  for (int i = 0; i < kPatience; ++i) {
    if (auto held = FileLock::try_acquire(path)) {
      // Into the locked file itself: replacing it would leave the lock on another.
      const auto text = std::to_string(::getpid()) + " " + what + "\n";
      const auto file = open_file(path, O_WRONLY | O_TRUNC | O_NOFOLLOW);
      write_all(file.get(), as_bytes(text), path);
      return ChangeLock(*std::move(held));
    }
    if (const auto holder = read_holder(directory); i >= kSettled && throws_away(holder))
      refuse(holder);
    std::this_thread::sleep_for(kPause);
  }
  refuse(read_holder(directory));
}

void refuse_while_thrown_away(const StateDirectory& directory) {
  for (int i = 0; i < 2; ++i) {
    // Whoever has just taken it may not have written who he is.
    if (i > 0) std::this_thread::sleep_for(kPause);
    if (!FileLock::is_held(directory.change_lock()) || !throws_away(read_holder(directory))) return;
  }
  refuse(read_holder(directory));
}

}  // namespace pgrevive::cluster
