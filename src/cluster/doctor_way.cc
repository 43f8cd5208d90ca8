#include "cluster/doctor_way.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "cluster/findings.h"

namespace pgrevive::cluster {
namespace {

using std::chrono::days;
using std::chrono::microseconds;
using std::chrono::seconds;
using std::chrono::system_clock;
using storage::S3Options;
using storage::s3::Cause;
using storage::s3::Probe;

// S3 refuses what was signed more than 15 minutes from its own time. A clock that is a minute off
// is one that nobody sets.
constexpr seconds kClockWarning{60};
constexpr days kCertificateWarning{14};

// In the order of the way, which is that of Cause.
constexpr std::array<std::pair<Cause, const char*>, 9> kStages{{{Cause::resolve, "DNS"},
                                                                {Cause::connect, "endpoint"},
                                                                {Cause::tls, "TLS chain"},
                                                                {Cause::server, "S3 service"},
                                                                {Cause::clock, "clock"},
                                                                {Cause::region, "region"},
                                                                {Cause::credentials, "signature"},
                                                                {Cause::bucket, "URI style"},
                                                                {Cause::permission, "list"}}};

// How long a stage took that was reached at `end`.
std::string took(const std::optional<microseconds>& begin, const std::optional<microseconds>& end) {
  if (!end) return "";
  const auto time = *end - begin.value_or(microseconds(0));
  return fmt::format(", {:.1f} ms", static_cast<double>(time.count()) / 1000);
}

// Whose address is looked for: without the port, and not the endpoint's where another is connected
// to.
std::string name_of(const S3Options& options, const Probe& probe) {
  if (!options.connect_host.empty()) return options.connect_host;
  const auto colon = probe.host.rfind(':');
  const bool has_port = colon != std::string::npos && !probe.host.ends_with(']');
  return has_port ? probe.host.substr(0, colon) : probe.host;
}

const char* style_name(storage::UriStyle style) {
  return style == storage::UriStyle::host ? "host" : "path";
}

// The finding of a stage that was passed.
Finding passed(Cause stage, const S3Options& options, const Probe& probe,
               system_clock::time_point now) {
  switch (stage) {
    case Cause::resolve:
      return fine(probe.address.empty() ? name_of(options, probe) + " has an address"
                                        : fmt::format("{} is {}{}", name_of(options, probe),
                                                      probe.address, took({}, probe.resolved)));
    case Cause::connect:
      return fine(
          fmt::format("port {} answers{}", probe.port, took(probe.resolved, probe.connected)));
    case Cause::tls: {
      if (!probe.tls) return not_applicable("plain http, nothing is encrypted on the way");
      const std::string shown =
          probe.certificate ? probe.certificate->subject + ", by " + probe.certificate->issuer : "";
      if (!options.verify_tls)
        return warning("not verified: S3_VERIFY_TLS=false" + (shown.empty() ? "" : "; " + shown),
                       "name the PEM file of the server's authority in S3_CA_FILE, and remove "
                       "S3_VERIFY_TLS");
      const auto expires = probe.certificate ? probe.certificate->expires : std::nullopt;
      const auto detail =
          "verified" + (shown.empty() ? "" : ": " + shown) +
          (expires ? ", until " + format_time(*expires).substr(0, 10) : std::string());
      if (expires && *expires - now < kCertificateWarning)
        return warning(detail, "have the server's certificate renewed");
      return fine(detail + took(probe.connected, probe.secured));
    }
    case Cause::server:
      return fine(probe.server.empty() ? "answers" : "answers, '" + probe.server + "'");
    case Cause::clock: {
      if (!probe.clock_ahead) return not_applicable("the server's answer has no date");
      const auto ahead = *probe.clock_ahead;
      const auto distance = ahead.count() < 0 ? -ahead : ahead;
      if (distance <= seconds(1)) return fine("within a second of the server's");
      const auto detail = fmt::format("{} {} the server's", format_duration(distance),
                                      ahead.count() < 0 ? "behind" : "ahead of");
      if (distance < kClockWarning) return fine(detail);
      return warning(detail,
                     "set the clock of this host (is NTP running?): from 15 minutes on "
                     "every request is refused");
    }
    case Cause::region:
      return fine(probe.region.empty()
                      ? fmt::format("{} is accepted", options.region)
                      : fmt::format("{}; the bucket is in {}", options.region, probe.region));
    case Cause::credentials:
      return fine("the keys are right");
    case Cause::bucket:
      return fine(
          fmt::format("{}: bucket {} at {}", style_name(probe.style), options.bucket, probe.host));
    default:
      return fine("allowed");
  }
}

Finding turned_away(const Probe& probe) {
  std::string detail = probe.error ? probe.error->what() : "";
  std::string remedy = probe.error ? probe.error->hint() : "";
  if (probe.cause == Cause::tls && probe.certificate) {
    detail += fmt::format("; the server shows {}, by {}", probe.certificate->subject,
                          probe.certificate->issuer);
    if (probe.certificate->expires) detail += ", until " + format_time(*probe.certificate->expires);
  }
  if (probe.working_style)
    remedy = fmt::format("set S3_URI_STYLE={}: with it the bucket answers",
                         style_name(*probe.working_style));
  if (remedy.empty()) remedy = "check S3_ENDPOINT, and look into the server's log";
  return failed(std::move(detail), std::move(remedy));
}

}  // namespace

std::vector<Finding> judge_way(const S3Options& options, const Probe& probe,
                               system_clock::time_point now) {
  Findings findings;
  // A list of keys has no object that could be absent.
  const auto cause = probe.cause == Cause::object ? Cause::server : probe.cause;
  const char* ended_at = nullptr;
  for (const auto& [stage, name] : kStages) {
    if (ended_at != nullptr) {
      findings.add(name, not_run(ended_at));
    } else if (cause == stage) {
      findings.add(name, turned_away(probe));
      ended_at = name;
    } else if ((stage == Cause::resolve && !probe.resolved) ||
               (stage == Cause::connect && probe.address.empty())) {
      findings.add(name, not_run("TLS chain"));  // its CA file is read before all
    } else {
      findings.add(name, passed(stage, options, probe, now));
    }
  }
  return findings.take();
}

std::vector<Finding> no_way(const std::string& why) {
  Findings findings;
  for (const auto& stage : kStages)
    if (stage.first != Cause::permission) findings.add(stage.second, not_applicable(why));
  return findings.take();
}

}  // namespace pgrevive::cluster
