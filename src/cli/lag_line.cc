#include "cli/lag_line.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include <fmt/format.h>

#include "base/text.h"

namespace pgrevive::cli {
namespace {

// Of the minutes in each of which a console keeps one sample.
constexpr std::int64_t kStepMs = console::LagHistory::kStepMs;
constexpr std::size_t kSteps = console::LagHistory::kFineMs / kStepMs;
constexpr std::array<std::string_view, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

using Lag = console::LagSample::Lag;

std::string_view block(std::uint64_t value, std::uint64_t greatest) {
  if (value == 0) return kBlocks.front();
  const auto share = static_cast<double>(value) / static_cast<double>(greatest);
  return kBlocks.at(std::min(kBlocks.size() - 1, static_cast<std::size_t>(share * kBlocks.size())));
}

}  // namespace

std::string lag_line(const std::vector<console::LagSample>& samples, const std::string& node,
                     std::int64_t now_ms, bool blocks) {
  std::array<Lag, kSteps> steps{};
  Lag greatest;
  for (const auto& sample : samples) {
    const auto found = sample.lags.find(node);
    const auto ago = now_ms / kStepMs - sample.time_ms / kStepMs;
    if (found == sample.lags.end() || ago < 0 || ago >= std::int64_t{kSteps}) continue;
    for (Lag* lag : {&steps.at(kSteps - 1 - static_cast<std::size_t>(ago)), &greatest}) {
      lag->bytes = std::max(lag->bytes, found->second.bytes);
      lag->seconds = std::max(lag->seconds, found->second.seconds);
    }
  }
  if (!greatest.bytes && !greatest.seconds) return {};
  std::string text;
  if (blocks && greatest.bytes) {
    // What was before the first that is known takes no room.
    const auto first =
        std::ranges::find_if(steps, [](const Lag& lag) { return lag.bytes.has_value(); });
    for (auto step = first; step != steps.end(); ++step)
      text += step->bytes ? block(*step->bytes, *greatest.bytes) : " ";
    text += "  ";
  }
  text += "at most ";
  if (greatest.bytes) text += format_bytes(*greatest.bytes);
  if (greatest.seconds)
    text += fmt::format("{}{:.1f} s", greatest.bytes ? ", " : "", *greatest.seconds);
  return text + " in 15 min";
}

bool utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const auto locale = lower(value);
    return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace pgrevive::cli
