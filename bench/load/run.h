#pragma once
// Run: one subcommand's phases, and the JSON object that comes of them.
//
// Owner    main.
// Thread   one.
// Limit    none.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "http/pusher.h"
#include "load/crowd.h"
#include "machine/process.h"
#include "options.h"
#include "tally/accounts.h"

namespace encke::bench {

class Run {
 public:
  Run(std::string subcommand, const Options& options);

  // Connects whoever is not connected; the phase `connect` is the one of the summary.
  void Ramp(const std::string& phase);
  void Drop();
  void Hold(const std::string& phase);    // for --seconds
  void Churn();                           // for --seconds at --churn_rate
  void WarmUp(const std::string& route);  // for --warmup seconds, not counted
  void Push(const std::string& phase, PushJob job);
  // Pushes to everybody's room, at most for a second: does everybody get everything?
  void Verify();

  // The job that the options describe.
  PushJob Job(const std::string& route) const;
  // Prints; the exit status of the program.
  int Finish();

 private:
  using Json = nlohmann::ordered_json;
  void Phase(const std::string& name, const std::function<void(Json*)>& work);
  PushResult Offer(PushJob* job, Accounts* accounts, Tally* tally);
  void Progress(const std::string& what) const;

  const Options& options_;
  Crowd crowd_;
  Pusher pusher_;
  Json out_;
  std::vector<ProcessUse> began_;
  std::int64_t began_us_;
  std::uint32_t run_;
  Accounts accounts_;
  Histogram latency_us_, answer_us_;
  std::uint64_t closed_ = 0;
  bool all_ready_ = true;
};

}  // namespace encke::bench
