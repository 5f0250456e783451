#include "load/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <thread>

#include <unistd.h>

#include "clock.h"
#include "machine/conditions.h"

namespace encke::bench {
namespace {

double Rounded(double v) { return std::round(v * 1000) / 1000; }

void Sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// Different for programs that run at the same time, and never 0.
std::uint32_t FreshRun() {
  return (static_cast<std::uint32_t>(NowUs()) ^ static_cast<std::uint32_t>(getpid()) << 20) | 1U;
}

}  // namespace

Run::Run(std::string subcommand, const Options& options)
    : options_(options),
      crowd_(options),
      pusher_(options),
      began_(ReadUse(options.pids)),
      began_us_(NowUs()),
      run_(options.run != 0 ? static_cast<std::uint32_t>(options.run) : FreshRun()) {
  out_["run"] = std::move(subcommand);
  out_["options"] = options.ToJson();
  out_["conditions"] = Conditions();
  out_["connect"] = Json::object();
  out_["accounting"] = Json::object();
  out_["latency_us"] = Json::object();
  out_["http_us"] = Json::object();
  out_["phases"] = Json::array();
}

void Run::Progress(const std::string& what) const {
  std::fprintf(stderr, "encke-bench: %s\n", what.c_str());
}

void Run::Phase(const std::string& name, const std::function<void(Json*)>& work) {
  Progress(name);
  const auto before = ReadUse(options_.pids);
  const std::int64_t from_us = NowUs();
  Json phase = {{"name", name}, {"seconds", 0}};
  work(&phase);
  const double seconds = static_cast<double>(NowUs() - from_us) / 1e6;
  phase["seconds"] = Rounded(seconds);
  phase["processes"] = Difference(before, ReadUse(options_.pids), seconds);
  out_["phases"].push_back(std::move(phase));
}

void Run::Ramp(const std::string& name) {
  Phase(name, [this, &name](Json* phase) {
    const auto before = crowd_.ready();
    crowd_.Connect(options_.ramp_rate);
    crowd_.AwaitSettled([this] {
      Progress("ready " + std::to_string(crowd_.ready()) + " of " +
               std::to_string(options_.connections));
    });
    const auto made = crowd_.ready() - before;
    const Tally tally = crowd_.Report();
    const double seconds = crowd_.ramp_seconds();
    const Json connect = {{"count", made},
                          {"seconds", Rounded(seconds)},
                          {"per_second", Rounded(static_cast<double>(made) / seconds)},
                          {"failed", options_.connections - crowd_.ready()},
                          {"again", tally.attempts - tally.connects - tally.failed},
                          {"latency_us", tally.connect_us.Summary()}};
    (*phase)["connect"] = connect;
    if (name == "connect") out_["connect"] = connect;
    all_ready_ = all_ready_ && crowd_.ready() == options_.connections;
  });
}

void Run::Drop() {
  Phase("drop", [this](Json* phase) { (*phase)["dropped"] = crowd_.Drop(); });
}

void Run::Hold(const std::string& name) {
  Phase(name, [this](Json* phase) {
    crowd_.Reset(0);
    Sleep(options_.seconds);
    const Tally tally = crowd_.Report();
    closed_ += tally.closed;
    (*phase)["ready"] = crowd_.ready();
    (*phase)["closed"] = tally.closed;
    (*phase)["heartbeats"] = tally.heartbeats;
    (*phase)["heartbeat_replies"] = tally.heartbeat_replies;
  });
}

void Run::Churn() {
  Phase("churn", [this](Json* phase) {
    crowd_.Reset(0);
    crowd_.Churn(options_.churn_rate);
    Sleep(options_.seconds);
    crowd_.Churn(0);
    crowd_.AwaitSettled();
    const Tally tally = crowd_.Report();
    closed_ += tally.closed;
    (*phase)["churned"] = tally.churned;
    (*phase)["connects"] = tally.connects;
    (*phase)["closed"] = tally.closed;
    (*phase)["ready"] = crowd_.ready();
    (*phase)["connect_us"] = tally.connect_us.Summary();
    all_ready_ = all_ready_ && crowd_.ready() == options_.connections;
  });
}

PushJob Run::Job(const std::string& route) const {
  PushJob job;
  job.route = route;
  job.groups = options_.GroupsOf(route);
  job.rate = options_.push_rate;
  job.batch = options_.batch;
  job.seconds = options_.seconds;
  return job;
}

PushResult Run::Offer(PushJob* job, Accounts* accounts, Tally* tally) {
  job->run = run_++;
  crowd_.Reset(job->run);
  auto members = crowd_.Members();
  if (job->route == "all")
    members = {std::accumulate(members.begin(), members.end(), std::uint32_t{0})};
  PushResult result = pusher_.Run(*job);
  crowd_.AwaitDelivered(static_cast<std::int64_t>(result.offers.Expected(members)), options_.drain);
  *tally = crowd_.Report();
  *accounts = Settle(result.offers, *tally, members);
  return result;
}

void Run::WarmUp(const std::string& route) {
  if (options_.warmup <= 0) return;
  PushJob job = Job(route);
  job.seconds = options_.warmup;
  Phase("warmup", [this, &job](Json* phase) {
    Accounts accounts;
    Tally tally;
    Offer(&job, &accounts, &tally);
    (*phase)["accounting"] = accounts.ToJson();
  });
}

void Run::Push(const std::string& name, PushJob job) {
  Phase(name, [this, &job](Json* phase) {
    Accounts accounts;
    Tally tally;
    const PushResult result = Offer(&job, &accounts, &tally);
    const double per_second = static_cast<double>(accounts.accepted) / result.seconds;
    (*phase)["accounting"] = accounts.ToJson();
    (*phase)["pushing_seconds"] = Rounded(result.seconds);
    (*phase)["accepted_per_second"] = Rounded(per_second);
    (*phase)["late_us_max"] = result.late_us_max;
    (*phase)["latency_us"] = tally.latency_us.Summary();
    (*phase)["http_us"] = result.answer_us.Summary();
    (*phase)["closed"] = tally.closed;
    accounts_.Add(accounts);
    latency_us_.Merge(tally.latency_us);
    answer_us_.Merge(result.answer_us);
    closed_ += tally.closed;
  });
}

void Run::Verify() {
  if (options_.push_rate <= 0) return;
  PushJob job = Job("room");
  job.seconds = std::min(1.0, job.seconds);
  Push("verify", job);
}

int Run::Finish() {
  const double seconds = static_cast<double>(NowUs() - began_us_) / 1e6;
  out_["accounting"] = accounts_.ToJson();
  out_["latency_us"] = latency_us_.Summary();
  out_["http_us"] = answer_us_.Summary();
  out_["closed"] = closed_;
  out_["seconds"] = Rounded(seconds);
  out_["processes"] = Difference(began_, ReadUse(options_.pids), seconds);
  std::printf("%s\n", out_.dump().c_str());
  std::fflush(stdout);
  return all_ready_ && closed_ == 0 && accounts_.AddUp() && accounts_.refused == 0 ? 0 : 1;
}

}  // namespace encke::bench
