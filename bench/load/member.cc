// encke-bench member and pusher: parts of a run of many processes, led by a conductor.

#include <cmath>

#include <unistd.h>

#include "clock.h"
#include "http/pusher.h"
#include "load/commands.h"
#include "load/crowd.h"
#include "load/subcommands.h"
#include "machine/process.h"

namespace encke::bench {
namespace {

double Rounded(double v) { return std::round(v * 1000) / 1000; }

Reply Self() {
  const auto use = ReadUse("").back();
  return {{"cpu_s", Rounded(use.user_s + use.system_s)}, {"rss_anon", use.rss_anon}};
}

// [[first group, last group, ready clients], ...]
Reply GroupRuns(const std::vector<std::uint32_t>& members) {
  Reply out = Reply::array();
  for (const auto& run : Runs({members}))
    out.push_back({run[1], run[2], run[3]});
  return out;
}

class Member {
 public:
  explicit Member(const Options& options)
      : options_(options), crowd_(options), run_(static_cast<std::uint32_t>(options.run)) {}

  Verbs verbs() {
    return {{"connect", [this](const Command& c) { return Connect(c); }},
            {"reconnect", [this](const Command& c) { return Connect(c); }},
            {"wait", [this](const Command&) { return Settled(); }},
            {"drop", [this](const Command&) { return Drop(); }},
            {"heartbeat", [this](const Command& c) { return Heartbeat(c); }},
            {"churn", [this](const Command& c) { return Churn(c); }},
            {"reset", [this](const Command& c) { return Reset(c); }},
            {"report", [this](const Command& c) { return Report(c); }}};
  }

 private:
  Reply Connect(const Command& c) {
    crowd_.Connect(c.value("ramp_rate", options_.ramp_rate));
    if (!c.value("wait", true)) return {{"wait", false}};
    return Settled();
  }
  Reply Settled() {
    crowd_.AwaitSettled();
    return {{"ready", crowd_.ready()},
            {"failed", options_.connections - crowd_.ready()},
            {"seconds", Rounded(crowd_.ramp_seconds())},
            {"connect_us", crowd_.Report().connect_us.Sparse()}};
  }
  Reply Drop() {
    const std::int64_t from = NowUs();
    const int dropped = crowd_.Drop();
    return {{"dropped", dropped}, {"seconds", Rounded(static_cast<double>(NowUs() - from) / 1e6)}};
  }
  Reply Heartbeat(const Command& c) {
    const double seconds = c.value("seconds", options_.heartbeat);
    crowd_.Heartbeat(seconds);
    return {{"seconds", seconds}};
  }
  Reply Churn(const Command& c) {
    const double rate = c.value("rate", options_.churn_rate);
    crowd_.Churn(rate);
    return {{"rate", rate}};
  }
  Reply Reset(const Command& c) {
    run_ = c.value("run", run_);
    crowd_.Reset(run_);
    return {{"run", run_}};
  }
  Reply Report(const Command& c) {
    const Tally tally = crowd_.Report();
    Reply out = {{"run", run_}, {"connections", options_.connections}, {"ready", crowd_.ready()}};
    out.update(tally.ToJson());
    out["groups_ready"] = GroupRuns(crowd_.Members());
    if (c.value("pushes", true)) out["pushes"] = Runs(tally.received);
    out["self"] = Self();
    return out;
  }

  const Options& options_;
  Crowd crowd_;
  std::uint32_t run_;
};

PushJob ReadJob(const Options& o, const Command& c) {
  PushJob job;
  job.route = c.value("route", o.route.empty() ? "room" : o.route);
  job.groups = o.GroupsOf(job.route);
  job.run = c.value("run", static_cast<std::uint32_t>(o.run));
  job.rate = c.value("rate", o.push_rate);
  job.batch = c.value("batch", o.batch);
  job.seconds = c.value("seconds", o.seconds);
  job.count = c.value("count", std::uint64_t{0});
  return job;
}

Reply Push(Pusher* pusher, const PushJob& job) {
  if (!Options::IsRoute(job.route) || job.batch < 1 || job.rate < 0)
    return {{"error", "route is room, mids, keys, all or batch; batch > 0; rate not negative"}};
  const PushResult result = pusher->Run(job);
  const auto accepted = result.offers.Count(Fate::kAccepted);
  const auto refused = result.offers.Count(Fate::kRefused);
  return {{"run", job.run},
          {"route", job.route},
          {"groups", result.offers.groups},
          {"streams", result.offers.groups * result.offers.streams_per_group},
          {"offered", accepted + refused},
          {"accepted", accepted},
          {"refused", refused},
          {"seconds", Rounded(result.seconds)},
          {"late_us_max", result.late_us_max},
          {"http_us", result.answer_us.Sparse()},
          {"pushes", Runs(result.offers.fates)}};
}

}  // namespace

int RunMember(const Options& options) {
  Member member(options);
  Say({{"did", "start"}, {"pid", getpid()}, {"connections", options.connections}});
  ObeyAll(member.verbs());
  return 0;
}

int RunPusher(const Options& options) {
  Pusher pusher(options);
  Say({{"did", "start"}, {"pid", getpid()}, {"http_connections", options.http_connections}});
  ObeyAll({{"push", [&](const Command& c) { return Push(&pusher, ReadJob(options, c)); }},
           {"report", [](const Command&) {
              return Reply{{"self", Self()}};
            }}});
  return 0;
}

}  // namespace encke::bench
