#include "postgres/conf_file.h"

#include "fuzz/fuzz.h"

// A configuration is never refused; what was read of it, written again, reads the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrevive;
  std::vector<std::string> problems;
  const auto settings = postgres::parse_conf(as_text(fuzz::input(data, size)), &problems);
  for (const auto& problem : problems)
    fuzz::require(printable(problem, problem.size() + 1) == problem, "problems are printable");

  std::vector<postgres::Setting> plain;
  for (const auto& setting : settings) {
    // An include directive is no setting and has no form as one.
    if (!setting.name.starts_with("include")) plain.push_back(setting);
  }
  std::vector<std::string> none;
  const auto again = postgres::parse_conf(postgres::format_conf(plain), &none);
  fuzz::require(none.empty(), "what we write can be read");
  fuzz::require(again == plain, "what we write reads as what it was made of");
  return 0;
}
