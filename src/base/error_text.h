#pragma once

#include <string_view>

#include "base/error.h"

namespace pgrevive {

// The kind that a process of this program has ended with; `otherwise` where that code is of none.
ErrorKind kind_of_exit(int exit_code, ErrorKind otherwise);

// The failure of another process of this program as our own Error: `text` is what Error::text()
// gave there, and `exit_code` what it ended with. Frames stay part of the message; `otherwise` is
// the kind where the code is that of none. Spaces around message and hint are dropped.
Error read_error(std::string_view text, int exit_code, ErrorKind otherwise);

}  // namespace pgrevive
