#pragma once

#include <memory>

#include "base/secret.h"
#include "codec/form.h"
#include "codec/sink.h"

namespace pgrevive::codec {

// Decrypts what `openssl enc -aes-256-cbc -md sha1` and pgBackRest write: salt, then ciphertext
// with PKCS#7 padding; key and IV by EVP_BytesToKey with SHA-1 and one round.
//
// There is no authentication: a wrong passphrase shows as a bad padding at finish(), or about one
// time in 256 as garbage. finish() throws Error{corrupt} "cannot decrypt: wrong passphrase or
// damaged data"; a stream whose header is not "Salted__" (Form::standard) is refused at once, and
// one that begins with "PGBR" and three digits is Error{unsupported} "repository format N was made
// by a newer pgBackRest".
std::unique_ptr<Sink> make_decryptor(const Secret& passphrase, Form form, Sink& next);

}  // namespace pgrevive::codec
