#include "cli/doctor_text.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/status_text.h"

namespace pgrevive::cli {
namespace {

using cluster::Finding;
using Result = Finding::Result;

struct Words {
  Result result;
  const char* mark;     // in the table
  const char* name;     // in JSON
  const char* counted;  // in the last line
};
constexpr std::array<Words, 5> kWords{
    {{Result::ok, "  ok  ", "ok", "ok"},
     {Result::warning, "  warn", "warning", "warn"},
     {Result::failed, "  FAIL", "failed", "failed"},
     {Result::not_run, "  ?   ", "not_run", "not run"},
     {Result::not_applicable, "  -   ", "not_applicable", "do not apply"}}};

const Words& words_of(Result result) { return *std::ranges::find(kWords, result, &Words::result); }

}  // namespace

std::vector<std::string> wrap(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  for (const auto& word : split(text, ' ')) {
    if (lines.empty() || columns(lines.back()) + 1 + columns(word) > width)
      lines.push_back(word);
    else
      lines.back() += " " + word;
  }
  return lines;
}

std::string findings_text(const std::vector<Finding>& findings, std::size_t width) {
  std::size_t name_width = 0;
  for (const auto& finding : findings) name_width = std::max(name_width, columns(finding.name));
  const std::size_t indent = 8 + name_width + 2;
  // Narrow terminals get long lines rather than a column of single words.
  const std::size_t room = std::max<std::size_t>(width > indent ? width - indent : 0, 30);

  std::string text;
  const auto block = [&](const std::string& first, const std::string& said) {
    bool begun = false;
    for (const auto& line : wrap(said, room)) {
      const auto lead = begun ? std::string() : first;
      text += lead + std::string(indent - columns(lead), ' ') + line + "\n";
      begun = true;
    }
  };
  for (const auto& finding : findings) {
    const auto& words = words_of(finding.result);
    const bool not_run = finding.result == Result::not_run;
    block(fmt::format("{}  {}", words.mark, finding.name),
          not_run ? "not run: " + finding.detail : finding.detail);
    if (!finding.remedy.empty()) block("", "-> " + finding.remedy);
  }
  std::string total;
  for (const auto& words : kWords) {
    const auto count = std::ranges::count(findings, words.result, &Finding::result);
    if (count > 0 || words.result == Result::ok || words.result == Result::failed)
      total += fmt::format("{}{} {}", total.empty() ? "" : ", ", count, words.counted);
  }
  return text + "\n" + total + "\n";
}

std::string findings_json(const std::vector<Finding>& findings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& finding : findings)
    list.push_back({{"name", finding.name},
                    {"result", words_of(finding.result).name},
                    {"detail", finding.detail},
                    {"remedy", finding.remedy}});
  const nlohmann::ordered_json json{{"passed", nothing_failed(findings)}, {"checks", list}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

bool nothing_failed(const std::vector<Finding>& findings) {
  return std::ranges::find(findings, Result::failed, &Finding::result) == findings.end();
}

}  // namespace pgrevive::cli
