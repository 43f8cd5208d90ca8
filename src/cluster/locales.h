#pragma once

#include <optional>
#include <string>

namespace pgrevive::cluster {

// Whether servers that we start can use that locale of the C library. They have our environment, so
// they are told the same. True for "", which leaves it to the environment.
bool host_has_locale(const std::string& name);

// Its line in /etc/locale.gen, "pt_BR.UTF-8 UTF-8"; empty for what does not look like a name of the
// GNU C library's. Pure.
std::string line_of_locale_gen(const std::string& name);

// How to have a locale that this host lacks, for a hint; and with what a cluster that is up needs
// to take notice. Pure.
std::string how_to_install_locale(const std::string& name);
std::string locale_remedy(const std::string& name);

// The locale that a server says its host lacks, where that is why it refused a connection: every
// process of a server takes on its database's LC_COLLATE and LC_CTYPE. Understands the message in
// any language. Pure.
std::optional<std::string> refused_for_locale(const std::string& message);

// Whether a locale orders by bytes, on every host and for ever: C, POSIX, C.UTF-8. Pure.
bool orders_by_bytes(const std::string& locale);

}  // namespace pgrevive::cluster
