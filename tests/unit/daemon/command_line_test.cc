#include "daemon/command_line.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace encke::daemon {
namespace {

Result<CommandLine> Read(std::vector<std::string> words) {
  words.insert(words.begin(), "comet");
  std::vector<char*> argv;
  for (auto& word : words)
    argv.push_back(word.data());
  return ReadCommandLine(static_cast<int>(argv.size()), argv.data(), "comet");
}

TEST(CommandLine, NamesTheFileInEveryWay) {
  EXPECT_EQ(Read({})->config, "configs/comet.yaml");
  EXPECT_EQ(Read({"a.yaml"})->config, "a.yaml");
  EXPECT_EQ(Read({"/etc/encke/a.yaml"})->config, "/etc/encke/a.yaml");
  EXPECT_EQ(Read({"--config", "a.yaml"})->config, "a.yaml");
  EXPECT_EQ(Read({"--config=/etc/a.yaml"})->config, "/etc/a.yaml");
}

TEST(CommandLine, ChecksOnlyWhenAsked) {
  EXPECT_FALSE(Read({})->check_only);
  EXPECT_TRUE(Read({"--check-config"})->check_only);
  EXPECT_EQ(Read({"--check-config", "b.yaml"})->config, "b.yaml");
  EXPECT_TRUE(Read({"b.yaml", "--check-config"})->check_only);
}

TEST(CommandLine, RefusesWhatItDoesNotKnowAndSaysWhatItDoes) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--frobnicate"}, {"--config"}, {"--config="}, {"a.yaml", "b.yaml"}, {"-c", "a.yaml"}}) {
    const auto read = Read(words);
    ASSERT_FALSE(read) << words[0];
    EXPECT_NE(read.error().text.find("usage: comet"), std::string::npos);
  }
}

}  // namespace
}  // namespace encke::daemon
