#include "job/config.h"

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace encke::job {
namespace {

Result<Config> Load(const std::string& text) {
  const std::string path =  // tests run side by side
      testing::TempDir() + "job_config_test." + std::to_string(::getpid()) + ".yaml";
  std::ofstream(path) << text;
  auto config = LoadConfig(path);
  std::remove(path.c_str());
  return config;
}

std::string Refusal(const std::string& text) {
  const auto config = Load(text);
  return config ? "accepted" : config.error().text;
}

TEST(JobConfig, TheFileWeShipSaysTheDefaults) {
  const auto shipped = LoadConfig(ENCKE_SOURCE_DIR "/configs/job.yaml");
  ASSERT_TRUE(shipped) << shipped.error().text;
  const Config defaults;
  EXPECT_FALSE(shipped->id.empty());
  EXPECT_EQ(shipped->stop_timeout, defaults.stop_timeout);
  EXPECT_EQ(shipped->admin_listen, defaults.admin_listen);
  EXPECT_EQ(shipped->nats.servers, defaults.nats.servers);
  EXPECT_EQ(shipped->push_log.partitions, defaults.push_log.partitions);
  EXPECT_EQ(shipped->push_log.max_age, defaults.push_log.max_age);
  EXPECT_EQ(shipped->push_log.max_bytes, defaults.push_log.max_bytes);
  EXPECT_EQ(shipped->push_log.duplicate_window, defaults.push_log.duplicate_window);
  EXPECT_EQ(shipped->registry.expire, defaults.registry.expire);
  EXPECT_EQ(shipped->registry.distrust, defaults.registry.distrust);
  EXPECT_EQ(shipped->lease.renew_interval, defaults.lease.renew_interval);
  EXPECT_EQ(shipped->lease.expire, defaults.lease.expire);
  EXPECT_EQ(shipped->link.queue_bytes_max, defaults.link.queue_bytes_max);
  EXPECT_EQ(shipped->link.stuck_timeout, defaults.link.stuck_timeout);
  EXPECT_EQ(shipped->link.retry_min, defaults.link.retry_min);
  EXPECT_EQ(shipped->link.retry_max, defaults.link.retry_max);
  EXPECT_EQ(shipped->link.outbox.batch_bytes_max, defaults.link.outbox.batch_bytes_max);
  EXPECT_EQ(shipped->link.outbox.room_signal, defaults.link.outbox.room_signal);
  EXPECT_EQ(shipped->link.outbox.room_batch, defaults.link.outbox.room_batch);
}

TEST(JobConfig, ReadsWhatIsThere) {
  const auto config = Load("job:\n  id: j9\nroom:\n  signal: 250ms\n");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->id, "j9");
  EXPECT_EQ(config->nats.name, "job.j9");
  EXPECT_EQ(config->link.outbox.room_signal, Duration(250));
}

TEST(JobConfig, RefusesWhatCannotWork) {
  EXPECT_NE(Refusal("job:\n  idd: j9\n").find("job.idd"), std::string::npos);
  EXPECT_NE(Refusal("lease:\n  expire: 1s\n").find("lease.expire"), std::string::npos);
  EXPECT_NE(Refusal("link:\n  retry_min: 10s\n").find("link.retry_max"), std::string::npos);
  EXPECT_NE(Refusal("registry:\n  expire: 3s\n").find("registry.expire"), std::string::npos);
}

}  // namespace
}  // namespace encke::job
