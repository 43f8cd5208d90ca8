#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/secret.h"

namespace pgrevive::cluster {

// What PostgreSQL stores for a password ("SCRAM-SHA-256$4096:salt$stored:server"), so that the
// password itself is never in a statement and so in no log and no statistics. Pure.
std::string scram_verifier(const Secret& password, ByteView salt, int iterations = 4096);

// With a salt of its own. Passwords with letters outside ASCII would have to be normalized first
// (RFC 4013); for those the answer is empty, and the caller lets the server do it.
std::string make_scram_verifier(const Secret& password);

}  // namespace pgrevive::cluster
