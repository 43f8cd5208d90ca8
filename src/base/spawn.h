#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/child_process.h"
#include "base/fd.h"

// How a child comes to be; ChildProcess and run() are what to use.
namespace pgrevive {

struct Pipe {
  Fd read;
  Fd write;
};
// Both ends are closed at an exec.
Pipe make_pipe();

// A descriptor that is not 0, 1 or 2, even where our own were closed: the dup2 calls of a child
// would run over each other.
Fd above_standard(Fd fd);

// The first executable of that name in a list of directories as PATH holds it.
std::optional<std::filesystem::path> find_in(std::string_view search_path, const std::string& name);

// Whether a child is given that variable of ours. What we were started with may hold secrets of
// whoever typed the command, and a server shows its environment to its superusers: so only what
// programs need to be found, to speak, to tell the time, and to reach a bucket. Pure.
bool is_inherited(std::string_view variable);

// Starts `command` with the given descriptors as its 0, 1 and 2 (-1: ours). Returns when its exec
// has succeeded; the caller owns the process. Throws as ChildProcess::start() does.
pid_t spawn(const Command& command, const int (&standard)[3]);

// waitpid() for a child that spawn() made. Whoever owns one waits with this and nothing else, or its
// number stays taken for that of a child of ours (see reap_orphans()).
pid_t wait_for_child(pid_t pid, int* status, int flags);

// Buries ended children that spawn() did not make: what lost its parent, which falls to the first
// process of a container. The others are left to their owners, who want to know how they ended; so
// an orphan may have to wait until the end of one of those was asked for.
void reap_orphans();

}  // namespace pgrevive
