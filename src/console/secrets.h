#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cluster/preview.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"
#include "console/view.h"

// What the console tells goes through here where it has words of others in it: lines of logs, and
// errors, which may quote them.
namespace pgrevive::console {

// Passwords, keys and passphrases of the cluster, with their quotes doubled too, the longest first;
// not those that are so short that they would mask everything.
std::vector<std::string> known_secrets(const cluster::StateDirectory& directory,
                                       const cluster::Settings& settings);
// The same with the settings that the cluster has, which throws where they cannot be read.
std::vector<std::string> known_secrets(const cluster::StateDirectory& directory);
// Where they cannot be read nobody knows one, which is no reason to say nothing. Does not throw.
std::vector<std::string> known_secrets_if_any(const cluster::StateDirectory& directory);

// Servers log statements that failed, and one may set a password or have one in it: what follows
// the word `password` (postgres/log_passwords.h) is replaced, and the secrets that are known. Pure.
std::string without_secrets(std::string_view text, const std::vector<std::string>& secrets);

// The same of what went wrong, as a look at the cluster found it, or one into the repository. Pure.
void mask_errors(View& view, const std::vector<std::string>& secrets);
void mask_errors(RepositoryView& repository, const std::vector<std::string>& secrets);
// And of why a restore would be refused. Pure.
void mask_errors(cluster::Preview& preview, const std::vector<std::string>& secrets);

}  // namespace pgrevive::console
