#include "cluster/node_tls.h"

#include <gtest/gtest.h>

#include "base/child_process.h"
#include "base/file.h"
#include "support/temp_dir.h"

namespace pgrevive::cluster {
namespace {

const std::vector<std::string> kNames = {"localhost", "127.0.0.1", "::1"};

TEST(NodeTls, ACertificateIsOfItsAuthority) {
  const auto authority = make_authority("pgrevive trial");
  const auto made = make_certificate(authority, kNames);

  EXPECT_TRUE(is_good_certificate(authority, authority.certificate));
  EXPECT_TRUE(is_good_certificate(made, authority.certificate));

  const auto other = make_authority("pgrevive trial");
  EXPECT_FALSE(is_good_certificate(made, other.certificate));
  EXPECT_FALSE(is_good_certificate({.certificate = made.certificate, .key = other.key},
                                   authority.certificate));
}

TEST(NodeTls, WhatCannotBeReadIsNoCertificate) {
  const auto authority = make_authority("pgrevive trial");
  const auto made = make_certificate(authority, kNames);

  EXPECT_FALSE(is_good_certificate({.certificate = "", .key = made.key}, authority.certificate));
  EXPECT_FALSE(is_good_certificate({.certificate = made.certificate, .key = Secret("torn")},
                                   authority.certificate));
  EXPECT_FALSE(is_good_certificate(made, "torn"));
}

// By a program that is not ours.
TEST(NodeTls, OpensslVerifiesTheChainAndTheNames) {
  const test::TempDir directory;
  const auto authority = make_authority(std::string(200, 'n'));
  write_file_atomic(directory.path() / "ca", authority.certificate);
  write_file_atomic(directory.path() / "it", make_certificate(authority, kNames).certificate);

  const auto verify = [&](const std::string& option, const std::string& name) {
    return run({.program = "/usr/bin/openssl",
                .arguments = {"verify", "-x509_strict", "-purpose", "sslserver", "-CAfile",
                              directory.path() / "ca", option, name, directory.path() / "it"}},
               {}, std::chrono::seconds(20))
        .status.ok();
  };
  EXPECT_TRUE(verify("-verify_hostname", "localhost"));
  EXPECT_TRUE(verify("-verify_ip", "127.0.0.1"));
  EXPECT_TRUE(verify("-verify_ip", "::1"));
  EXPECT_FALSE(verify("-verify_hostname", "evil.example"));
}

}  // namespace
}  // namespace pgrevive::cluster
