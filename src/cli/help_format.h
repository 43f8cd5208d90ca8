#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace pgrevive::cli {

// Help pages at most 80 columns wide: an option and its value on the left, its sentence wrapped on
// the right.
class HelpFormat : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  std::string make_footer(const CLI::App* command) const override;
};

// Paragraphs wrapped; lines that begin with a blank (examples) stay as they are.
std::string wrap(const std::string& text);

// `left` and `right` in two columns, `right` wrapped.
std::string help_row(const std::string& left, const std::string& right);

}  // namespace pgrevive::cli
