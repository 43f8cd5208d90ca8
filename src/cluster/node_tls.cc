#include "cluster/node_tls.h"

#include <ctime>
#include <memory>
#include <optional>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace pgrevive::cluster {
namespace {

// Nobody is asked for a new one before: a cluster has to be started again for it.
constexpr long kDay = 24L * 60 * 60;
constexpr long kAuthorityDays = 30 * 365;
constexpr long kCertificateDays = 10 * 365;
constexpr long kSpareDays = 365;
constexpr std::size_t kLongestName = 60;  // of 64 in a certificate

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* it) const {
    Free(it);
  }
};
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Memory = std::unique_ptr<BIO, Freed<BIO_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;

void expect(bool done, const char* what) {
  if (done) return;
  const auto code = ::ERR_get_error();
  std::string text(200, '\0');
  ::ERR_error_string_n(code, text.data(), text.size());
  throw Error(ErrorKind::system, std::string("cannot ") + what + " for NODE_TLS: " + text.c_str());
}

Memory reader_of(const std::string& pem) {
  return Memory(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}
Certificate read_certificate(const std::string& pem) {
  return Certificate(::PEM_read_bio_X509(reader_of(pem).get(), nullptr, nullptr, nullptr));
}
Key read_key(const Secret& pem) {
  return Key(::PEM_read_bio_PrivateKey(reader_of(pem.reveal()).get(), nullptr, nullptr, nullptr));
}
std::string text_of(const Memory& memory) {
  char* bytes = nullptr;
  const auto size = ::BIO_get_mem_data(memory.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

void name_it(X509_NAME* name, const std::string& common) {
  const auto text = common.substr(0, kLongestName);
  expect(::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1,
         "name a certificate");
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  ::X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(::X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  expect(extension && ::X509_add_ext(certificate, extension.get(), -1) == 1,
         "describe a certificate");
}

Key make_key() {
  Key key(::EVP_EC_gen("P-256"));
  expect(key != nullptr, "make a key");
  return key;
}

Certificate begin_certificate(const Key& key, const std::string& common, long days) {
  Certificate certificate(::X509_new());
  expect(certificate && ::X509_set_version(certificate.get(), X509_VERSION_3) == 1,
         "make a certificate");
  std::uint64_t serial = 0;
  expect(
      ::RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1 &&
          ::ASN1_INTEGER_set_uint64(::X509_get_serialNumber(certificate.get()), serial >> 1) == 1,
      "number a certificate");
  // Clocks of hosts differ.
  expect(::X509_gmtime_adj(::X509_getm_notBefore(certificate.get()), -kDay) != nullptr &&
             ::X509_gmtime_adj(::X509_getm_notAfter(certificate.get()), days * kDay) != nullptr &&
             ::X509_set_pubkey(certificate.get(), key.get()) == 1,
         "make a certificate");
  name_it(::X509_get_subject_name(certificate.get()), common);
  return certificate;
}

Certified sign(const Certificate& certificate, const Key& key, const Key& signer) {
  expect(::X509_sign(certificate.get(), signer.get(), ::EVP_sha256()) > 0, "sign a certificate");
  const Memory first(::BIO_new(BIO_s_mem()));
  // Its memory is wiped when it is freed.
  const Memory second(::BIO_new(::BIO_s_secmem()));
  expect(::PEM_write_bio_X509(first.get(), certificate.get()) == 1 &&
             ::PEM_write_bio_PrivateKey(second.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                        nullptr) == 1,
         "write a certificate");
  return {.certificate = text_of(first), .key = Secret(text_of(second))};
}

bool is_address(const std::string& name) {
  in6_addr ignored{};
  return ::inet_pton(AF_INET, name.c_str(), &ignored) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), &ignored) == 1;
}

std::optional<Certified> load(const std::filesystem::path& certificate,
                              const std::filesystem::path& key) {
  const auto first = read_file_if_exists(certificate);
  const auto second = read_file_if_exists(key);
  if (!first || !second) return {};
  return Certified{.certificate = *first, .key = Secret(*second)};
}

// The key first: a certificate without its key is made anew, and so never shown.
void save(const Certified& certified, const std::filesystem::path& certificate,
          const std::filesystem::path& key) {
  write_file_atomic(key, certified.key.reveal(), 0600);
  write_file_atomic(certificate, certified.certificate, 0644);
}

}  // namespace

TlsFiles tls_files(const std::filesystem::path& conf_directory) {
  return {.authority = conf_directory / "tls-authority.crt",
          .certificate = conf_directory / "tls-server.crt",
          .key = conf_directory / "tls-server.key"};
}

Certified make_authority(const std::string& name) {
  const auto key = make_key();
  const auto certificate = begin_certificate(key, name, kAuthorityDays);
  expect(::X509_set_issuer_name(certificate.get(), ::X509_get_subject_name(certificate.get())) == 1,
         "name a certificate");
  extend(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  extend(certificate.get(), certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  extend(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash");
  return sign(certificate, key, key);
}

Certified make_certificate(const Certified& authority, const std::vector<std::string>& names) {
  const auto issuer = read_certificate(authority.certificate);
  const auto signer = read_key(authority.key);
  expect(issuer && signer, "read the authority's certificate and key");
  const auto key = make_key();
  const auto certificate = begin_certificate(key, names.front(), kCertificateDays);
  expect(::X509_set_issuer_name(certificate.get(), ::X509_get_subject_name(issuer.get())) == 1,
         "name a certificate");
  std::string list;
  for (const auto& name : names)
    list += (list.empty() ? "" : ",") + std::string(is_address(name) ? "IP:" : "DNS:") + name;
  extend(certificate.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
  extend(certificate.get(), issuer.get(), NID_key_usage, "critical,digitalSignature");
  extend(certificate.get(), issuer.get(), NID_ext_key_usage, "serverAuth");
  extend(certificate.get(), issuer.get(), NID_subject_alt_name, list);
  extend(certificate.get(), issuer.get(), NID_authority_key_identifier, "keyid");
  return sign(certificate, key, signer);
}

bool is_good_certificate(const Certified& certified, const std::string& authority) {
  const auto certificate = read_certificate(certified.certificate);
  const auto issuer = read_certificate(authority);
  const auto key = read_key(certified.key);
  const Key signer(issuer ? ::X509_get_pubkey(issuer.get()) : nullptr);
  const bool good = certificate && key && signer &&
                    ::X509_verify(certificate.get(), signer.get()) == 1 &&
                    ::X509_check_private_key(certificate.get(), key.get()) == 1;
  ::ERR_clear_error();
  if (!good) return false;
  std::time_t later = std::time(nullptr) + kSpareDays * kDay;
  return ::X509_cmp_time(::X509_get0_notAfter(certificate.get()), &later) > 0;
}

void make_tls_files(const Settings& settings, const StateDirectory& directory,
                    const std::string& node) {
  const auto files = tls_files(directory.conf(node));
  const auto own = load(files.certificate, files.key);
  const auto authority_certificate = directory.secrets() / "tls-authority.crt";
  const auto authority_key = directory.secrets() / "tls-authority.key";
  auto authority = load(authority_certificate, authority_key);
  if (!authority && settings.containers && node != "primary") {
    // Who filled this volume has left what this node needs, and kept the authority.
    if (own) return;
    throw Error(ErrorKind::not_found, "there is no certificate for " + node)
        .with_hint("`./cluster-manager.sh restart` makes what NODE_TLS=on needs");
  }
  if (!authority || !is_good_certificate(*authority, authority->certificate)) {
    make_directories(directory.secrets());
    authority = make_authority("pgrevive " + settings.cluster_name);
    save(*authority, authority_certificate, authority_key);
  }
  const auto trusted = read_file_if_exists(files.authority);
  if (own && trusted == authority->certificate && is_good_certificate(*own, *trusted)) return;
  // All names of the cluster's nodes: a switchover exchanges their directories.
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1"};
  if (settings.containers)
    for (const auto& name : node_names(settings.replicas)) names.push_back(host_of(settings, name));
  save(make_certificate(*authority, names), files.certificate, files.key);
  write_file_atomic(files.authority, authority->certificate, 0644);
}

}  // namespace pgrevive::cluster
