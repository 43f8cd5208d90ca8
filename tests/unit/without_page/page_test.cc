#include "console/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// Linked with what the build embeds where there is no npm, whether it is here or not.
namespace pgrevive::console {
namespace {

using testing::HasSubstr;

TEST(WithoutPage, ThereIsNoFile) {
  EXPECT_TRUE(page_files().empty());
  EXPECT_FALSE(page_response("/index.html"));
  EXPECT_FALSE(page_response("/console.js"));
}

TEST(WithoutPage, TheProgramSaysSoWhereThePageWouldBe) {
  const auto response = page_response("/");

  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->type, "text/plain; charset=utf-8");
  EXPECT_THAT(response->body, HasSubstr("built without its page"));
  EXPECT_THAT(response->body, HasSubstr("npm"));
  EXPECT_THAT(response->body, HasSubstr("/api/v1/openapi.json"));
}

}  // namespace
}  // namespace pgrevive::console
