#pragma once
// Swarm: many goim clients on one epoll loop.  Own encoder and decoder, written from the protocol.
//
// Owner    main, one per thread.
// Thread   Run: its own; the atomics may be read by main.
// Limit    the process' open files; one receive buffer; a partial package per connection at most.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sys/epoll.h>

#include "histogram.h"
#include "options.h"

namespace encke::bench {

std::int64_t NowUs();

class Swarm {
 public:
  Swarm(const Options& options, int index, int connections);
  ~Swarm();
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  void Run();
  void Stop() { stop_ = true; }
  void StartChurn(double per_second) { churn_rate_ = per_second; }

  std::atomic<std::int64_t> ready{0}, failed{0}, closed{0}, churned{0};
  std::atomic<std::int64_t> delivered{0}, duplicates{0}, disordered{0}, gaps{0};
  const Histogram& latency() const { return latency_; }  // after Run returned
  const Histogram& auth_us() const { return auth_us_; }

 private:
  enum class Stage : std::uint8_t { kIdle, kConnecting, kUpgrading, kAuth, kReady };
  struct Client {
    int fd = -1;
    Stage stage = Stage::kIdle;
    bool ws = false;
    bool counted = false;  // has seen a push: the next must follow it
    std::uint32_t last_push = 0;
    std::int64_t began_us = 0;  // connect began, then: next heartbeat is due
    std::string partial;
  };

  void Connect(std::size_t i);
  void OnEvent(std::size_t i, std::uint32_t events);
  void OnReadable(std::size_t i);
  std::size_t Consume(Client& client, const char* in, std::size_t size);
  std::size_t ConsumeUpgrade(Client& client, const char* in, std::size_t size);
  std::size_t ConsumeFrames(Client& client, const char* in, std::size_t size);
  std::size_t ConsumePackages(Client& client, const char* in, std::size_t size);
  void OnPackage(Client& client, std::int32_t op, const char* body, std::size_t size);
  void OnPush(Client& client, const char* body, std::size_t size);
  void SendPackage(Client& client, std::int32_t op, const std::string& body);
  void Drop(std::size_t i, bool on_purpose);
  void Ramp();
  void Heartbeats();
  void Churn();

  const Options& options_;
  int index_;
  int epoll_;
  std::vector<Client> clients_;
  std::vector<std::size_t> waiting_;  // to connect
  std::int64_t started_us_ = 0;
  std::int64_t connects_begun_ = 0;
  std::int64_t under_way_ = 0;
  std::size_t heartbeat_at_ = 0;  // sweep position
  std::int64_t heartbeat_swept_us_ = 0;
  std::int64_t churn_begun_us_ = 0;
  std::int64_t churn_done_ = 0;
  std::atomic<double> churn_rate_{0};
  std::atomic<bool> stop_{false};
  std::int64_t now_us_ = 0;
  Histogram latency_, auth_us_;
  std::vector<char> buffer_;
};

}  // namespace encke::bench
