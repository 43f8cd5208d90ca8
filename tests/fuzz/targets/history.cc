#include "postgres/history.h"

#include "fuzz/fuzz.h"

// Any text is either refused or a line of ancestors that rises to the timeline, of which each is
// left once at most and never later than its own line says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrevive;
  fuzz::Source source(fuzz::input(data, size));
  const postgres::Timeline timeline(source.number<std::uint32_t>());
  fuzz::refusal_of([&] {
    const auto history = postgres::TimelineHistory::parse(timeline, as_text(source.rest()));
    fuzz::require(history.timeline == timeline, "it is of its timeline");
    postgres::Timeline before(0);
    for (const auto& ancestor : history.ancestors) {
      fuzz::require(before < ancestor.timeline && ancestor.timeline < timeline, "timelines rise");
      before = ancestor.timeline;
      const auto left = history.left(ancestor.timeline);
      fuzz::require(left && *left <= ancestor.ended, "an ancestor is left where its line ends");
      fuzz::require(history.passes(ancestor.timeline, *left), "and passed up to there");
      fuzz::require(!history.passes(ancestor.timeline, postgres::Lsn(left->value() + 1)) ||
                        left->value() + 1 == 0,
                    "and no further");
    }
    fuzz::require(!history.left(timeline), "a timeline is not its own ancestor");
  });
  return 0;
}
