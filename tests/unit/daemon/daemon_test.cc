#include "daemon/daemon.h"

#include <csignal>
#include <stdexcept>

#include <gtest/gtest.h>
#include <sys/types.h>
#include <unistd.h>

namespace encke::daemon {
namespace {

TEST(Guarded, SaysWhatWasWrongAndAnswersTwo) {
  EXPECT_EQ(Guarded("comet", [] { return Status(Ok{}); }), 0);
  testing::internal::CaptureStderr();
  EXPECT_EQ(Guarded("comet",
                    []() -> Status {
                      return Error{Errc::kInvalid, "tcp.listen: no"};
                    }),
            2);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "comet: tcp.listen: no\n");
}

TEST(Guarded, LetsNoExceptionOut) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(Guarded("job", []() -> Status { throw std::runtime_error("full"); }), 2);
  EXPECT_EQ(Guarded("job", []() -> Status { throw 7; }), 2);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "job: full\njob: ended by an exception of an unknown kind\n");
}

TEST(Main, RefusesBeforeItRuns) {
  char name[] = "logic";
  char file[] = "nowhere.yaml";
  char* argv[] = {name, file};
  struct Config {
    std::string log_level;
  };
  const auto load = [](const std::string& path) -> Result<Config> {
    return Error{Errc::kNotFound, path + ": cannot be read"};
  };
  bool ran = false;
  testing::internal::CaptureStderr();
  EXPECT_EQ(Main(2, argv, "logic", load,
                 [&](const Config&, const std::string&) -> Status {
                   ran = true;
                   return Ok{};
                 }),
            2);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "logic: nowhere.yaml: cannot be read\n");
  EXPECT_FALSE(ran);
}

TEST(Signals, HangUpReloadsAndTerminateEnds) {
  HoldSignals();
  int reloads = 0;
  kill(getpid(), SIGHUP);
  WaitForStop([&] {
    if (++reloads == 2) kill(getpid(), SIGTERM);
    if (reloads < 2) kill(getpid(), SIGHUP);
  });
  EXPECT_EQ(reloads, 2);
}

}  // namespace
}  // namespace encke::daemon
