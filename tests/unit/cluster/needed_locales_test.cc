#include "cluster/needed_locales.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "cluster/locales.h"

namespace pgrevive::cluster {
namespace {

void is_told_with_its_remedy(const char* locale, const char* id) {
  const MissingLocale missing{.locale = locale, .databases = {"app", "shop"}};
  const auto notice = missing_notice(missing);
  EXPECT_EQ(notice.id, id);
  EXPECT_EQ(notice.text, missing_text(missing) + "; " + how_to_install_locale(locale));
}

TEST(NeededLocales, AreWarnedOfAsTheyAreRefused) {
  is_told_with_its_remedy("pt_BR.utf8", "locale_missing_in_debian");
  is_told_with_its_remedy("English_United States.1252", "locale_missing");
  ::setenv("PGREVIVE_ENVIRONMENT", "1", 1);
  is_told_with_its_remedy("pt_BR.utf8", "locale_missing_in_image");
  ::unsetenv("PGREVIVE_ENVIRONMENT");
}

}  // namespace
}  // namespace pgrevive::cluster
