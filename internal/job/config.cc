#include "job/config.h"

#include <chrono>

#include "base/config.h"
#include "base/units.h"

namespace encke::job {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

void ReadLease(ConfigReader& in, Config& out) {
  in.Key("lease.renew_interval", &out.lease.renew_interval, milliseconds(100), minutes(1));
  in.Key("lease.expire", &out.lease.expire, milliseconds(300), minutes(10));
}

void ReadLink(ConfigReader& in, Config& out) {
  LinkOptions& link = out.link;
  in.Key("link.queue_bytes_max", &link.queue_bytes_max, kMega, 64 * kGiga);
  in.Key("link.stuck_timeout", &link.stuck_timeout, milliseconds(0), minutes(10));
  in.Key("link.batch_bytes_max", &link.outbox.batch_bytes_max, kKilo, 8 * kMega);
  in.Key("link.retry_min", &link.retry_min, milliseconds(1), minutes(1));
  in.Key("link.retry_max", &link.retry_max, milliseconds(1), minutes(1));
  in.Key("room.signal", &link.outbox.room_signal, milliseconds(0), seconds(10));
  in.Key("room.batch", &link.outbox.room_batch, 1, 10'000);
}

Status Check(const Config& config) {
  if (config.lease.expire < config.lease.renew_interval * 2) {
    return Error{Errc::kInvalid, "lease.expire: must be at least twice lease.renew_interval"};
  }
  if (config.link.retry_max < config.link.retry_min) {
    return Error{Errc::kInvalid, "link.retry_max: must not be less than link.retry_min"};
  }
  return Ok{};
}

}  // namespace

Result<Config> LoadConfig(const std::string& path) {
  Config out;
  ConfigReader in;
  if (auto opened = in.Open(path); !opened) return opened.error();
  daemon::ReadConfig(in, "job", &out);
  daemon::ReadPushLog(in, &out.push_log);
  ReadLease(in, out);
  store::ReadRedis(in, &out.redis);
  ReadLink(in, out);
  if (auto finished = daemon::FinishConfig(in, "job", &out); !finished) return finished.error();
  if (auto checked = Check(out); !checked) return checked.error();
  return out;
}

}  // namespace encke::job
