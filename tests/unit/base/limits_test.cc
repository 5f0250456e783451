#include "base/limits.h"

#include <gtest/gtest.h>

namespace encke {
namespace {

constexpr SystemLimits kWide{.open_files = 2'000'000,
                             .file_max = 8'000'000,
                             .epoll_watches = 4'000'000,
                             .somaxconn = 65'535};

std::string Refusal(const SystemLimits& limits, std::size_t connections) {
  const Status checked = CheckCarried(limits, connections, 256);
  return checked ? "" : checked.error().text;
}

TEST(Limits, TheNarrowestCounts) {
  EXPECT_EQ(ConnectionsCarried(kWide, 256), 1'999'744U);
  SystemLimits few = kWide;
  few.epoll_watches = 1000;
  EXPECT_EQ(ConnectionsCarried(few, 256), 744U);
  EXPECT_EQ(ConnectionsCarried(few, 1000), 0U);
  EXPECT_EQ(ConnectionsCarried(few, 5000), 0U);
}

TEST(Limits, ARefusalNamesTheSettingAndTheReserveCounts) {
  EXPECT_EQ(Refusal(kWide, 1'999'744), "");
  EXPECT_NE(Refusal(kWide, 1'999'745).find("fs.nr_open"), std::string::npos);
  SystemLimits system = kWide;
  system.file_max = 100'000;
  EXPECT_NE(Refusal(system, 100'000).find("fs.file-max"), std::string::npos);
  SystemLimits watches = kWide;
  watches.epoll_watches = 100'000;
  EXPECT_NE(Refusal(watches, 100'000).find("fs.epoll.max_user_watches"), std::string::npos);
}

TEST(Limits, TheSystemHasSome) {
  const SystemLimits here = ReadLimits();
  EXPECT_GT(here.open_files, 0U);
  EXPECT_GT(here.file_max, 0U);
  EXPECT_GT(here.epoll_watches, 0U);
  EXPECT_GT(here.somaxconn, 0U);
}

}  // namespace
}  // namespace encke
