#include "cluster/locales.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgrevive::cluster {
namespace {

TEST(Locale, OfAnImageIsInstalledByBuildingItAnew) {
  ::setenv("PGREVIVE_ENVIRONMENT", "1", 1);
  EXPECT_THAT(locale_remedy("pt_BR.utf8"), testing::HasSubstr("DOCKER_LOCALES"));
  ::unsetenv("PGREVIVE_ENVIRONMENT");
}

TEST(Locales, AreNamedWithARemedy) {
  EXPECT_THAT(locale_remedy("pt_BR.utf8"),
              testing::HasSubstr("'pt_BR.UTF-8 UTF-8' in /etc/locale.gen"));
  EXPECT_THAT(locale_remedy("de_DE.ISO8859-15@euro"),
              testing::HasSubstr("'de_DE.ISO8859-15@euro ISO8859-15' in"));
  EXPECT_EQ(locale_remedy("English_United States.1252"),
            "install the locale English_United States.1252, then restart the cluster");
}

TEST(Locales, AreReadFromARefusalInAnyLanguage) {
  EXPECT_EQ(refused_for_locale("FATAL:  XX000: database locale is incompatible with operating "
                               "system; DETAIL:  The database was initialized with LC_COLLATE "
                               "\"pt_BR.utf8\",  which is not recognized by setlocale()."),
            "pt_BR.utf8");
  EXPECT_EQ(refused_for_locale("DETALHE: O banco de dados foi inicializado com LC_CTYPE "
                               "\xc2\xab de_DE@euro \xc2\xbb, que n\xc3\xa3o \xc3\xa9 "
                               "reconhecido pelo setlocale()."),
            "de_DE@euro");
  EXPECT_FALSE(refused_for_locale("FATAL:  28000: role \"LC_COLLATE\" does not exist"));
  EXPECT_FALSE(refused_for_locale("setlocale() LC_COLLATE"));
}

TEST(Locales, OfTheHostAreWhatTheCLibraryHas) {
  EXPECT_TRUE(host_has_locale("C"));
  EXPECT_TRUE(host_has_locale(""));
  EXPECT_FALSE(host_has_locale("xx_XX.utf8"));
}

TEST(Locales, OfBytesNeverChange) {
  for (const auto* locale : {"C", "POSIX", "C.UTF-8", "C.utf8"})
    EXPECT_TRUE(orders_by_bytes(locale)) << locale;
  for (const auto* locale : {"", "en_US.UTF-8", "Croatian", "ca_ES"})
    EXPECT_FALSE(orders_by_bytes(locale)) << locale;
}

}  // namespace
}  // namespace pgrevive::cluster
