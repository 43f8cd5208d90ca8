#include "console/view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::console {
namespace {

using repository::StanzaReport;
using repository::StanzaStatus;

TEST(RepositoryView, IsUnreadableWhereItsStanzaIsGone) {
  EXPECT_EQ(why_unreadable({.name = "main", .status = StanzaStatus::missing_stanza_path}),
            "stanza main: missing stanza path");
  EXPECT_NE(why_unreadable({.name = "main", .status = StanzaStatus::missing_stanza_data}), "");
  EXPECT_EQ(why_unreadable({.name = "main",
                            .status = StanzaStatus::other,
                            .failure = Error(ErrorKind::unavailable, "no route to it")}),
            "no route to it");
}

TEST(RepositoryView, IsReadableWithoutBackups) {
  EXPECT_EQ(why_unreadable({.name = "main"}), "");
  EXPECT_EQ(why_unreadable({.name = "main", .status = StanzaStatus::no_backups}), "");
}

TEST(RepositoryView, IsUnreadableWhereItsWalIs) {
  StanzaReport stanza{.name = "main"};
  stanza.databases.push_back({.current = false, .recovery_problem = "of no use any more"});
  EXPECT_EQ(why_unreadable(stanza), "");
  stanza.databases.push_back({.current = true, .recovery_problem = "access denied"});
  EXPECT_EQ(why_unreadable(stanza), "access denied");
}

}  // namespace
}  // namespace pgrevive::console
