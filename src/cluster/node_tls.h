#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/secret.h"
#include "cluster/settings.h"
#include "cluster/state_directory.h"

// NODE_TLS: the servers speak TLS, and a replica talks to no primary but one that the cluster's own
// authority (CA) vouches for. The authority is made once and never leaves the cluster's directory;
// each node has a key and a certificate of its own.
namespace pgrevive::cluster {

struct TlsFiles {
  std::filesystem::path authority;    // whom it trusts
  std::filesystem::path certificate;  // what it shows
  std::filesystem::path key;
};
// Beside the node's configuration. Pure.
TlsFiles tls_files(const std::filesystem::path& conf_directory);

// Makes what of it is not there, not of this cluster's authority, or about to end. A server that
// runs takes it with its next start or reload. A container of a replica alone does not see the
// authority's key: there it has to have been made before.
void make_tls_files(const Settings& settings, const StateDirectory& directory,
                    const std::string& node);

// Of what the above is made; all PEM.
struct Certified {
  std::string certificate;
  Secret key;
};
Certified make_authority(const std::string& name);
// For a server that is called by any of these names and addresses.
Certified make_certificate(const Certified& authority, const std::vector<std::string>& names);
// Whether `authority` has signed it, it belongs to the key, and it lasts another year. False for
// what cannot be read.
bool is_good_certificate(const Certified& certified, const std::string& authority);

}  // namespace pgrevive::cluster
