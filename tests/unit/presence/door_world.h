#pragma once
// DoorWorld: a SessionDoor with one comet, and Redis as a story.
//
// Owner    a test.
// Thread   one.
// Limit    none.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "presence/session_door.h"

namespace encke::presence {

using store::RoomTable;
using store::Sessions;

// Redis as a story: what was asked, and answers when the test says so.
class FakePorts final : public SessionPorts {
 public:
  void Arrive(
      Mid mid, const Key& key, const ServerId& comet, Claim claim, OnArrival done) override {
    Tell("arrive " + std::to_string(mid.value()) + " " + key.value() + "@" + comet.value() +
         (claim == Claim::kOwn ? " if its own" : ""));
    arrivals.push_back(std::move(done));
    if (at_once) AnswerArrival(next_generation++);
  }
  void Renew(const Life& life, const ServerId& comet, OnDone done) override {
    Tell("renew " + Say(life, comet));
    renewals.push_back(std::move(done));
  }
  void Depart(const Life& life, const ServerId& comet, OnDone done) override {
    Tell("depart " + Say(life, comet));
    done(Ok{});
  }
  void Report(const ServerId& comet,
              bool snapshot,
              const RoomTable& changes,
              OnDone done) override {
    std::string line = (snapshot ? "snapshot " : "report ") + comet.value();
    for (const auto& [room, count] : std::map<std::string, int>(changes.begin(), changes.end()))
      line += " " + room + "=" + std::to_string(count);
    Tell(line);
    reports.push_back(std::move(done));
  }
  void CheckMemory(OnMemory done) override {
    if (memory.name.empty()) return done(Error{Errc::kUnavailable, "Redis is away"});
    done(memory);
  }
  RoomTotals::Sum Rooms() override { return rooms; }

  void AnswerArrival(std::uint64_t generation) {
    auto done = std::move(arrivals.front());
    arrivals.pop_front();
    done(Sessions::Arrival{generation, {}});
  }
  void AnswerReport(const Status& status) {
    auto done = std::move(reports.front());
    reports.pop_front();
    done(status);
  }
  std::string TakeStory() { return std::exchange(story, ""); }

  bool at_once = true;
  std::uint64_t next_generation = 100;
  void Ask(const Request& request, OnReply done) override {
    Tell("ask " + std::to_string(request.id()));
    asks.push_back(std::move(done));
  }
  void Hear(const Upstream& package) override { heard.push_back(package.op()); }
  void Count(const ServerId& comet, std::uint64_t boot, const PushReport& report) override {
    Tell("count " + report.id() + " " + comet.value() + " " + std::to_string(boot));
  }

  std::string story;
  std::deque<OnReply> asks;
  std::vector<int> heard;
  std::deque<OnArrival> arrivals;
  std::deque<OnDone> renewals, reports;
  Sessions::Memory memory;
  RoomTotals::Sum rooms = std::make_shared<const RoomTable>();

 private:
  void Tell(const std::string& line) { story += line + "\n"; }
  static std::string Say(const Life& life, const ServerId& comet) {
    return std::to_string(life.mid.value()) + " " + life.key.value() + "@" + comet.value() + " #" +
           std::to_string(life.generation);
  }
};

struct FakeHandle final : rpc::StreamHandle {
  void Kick() override { ++kicks; }
  void Close() override { closed = true; }
  int kicks = 0;
  bool closed = false;
};

class SessionDoorTest : public ::testing::Test {
 protected:
  SessionDoorTest() { Make(Options()); }

  static SessionDoorOptions Options() {
    SessionDoorOptions options;
    options.tick = Duration(0);
    return options;
  }
  void Make(const SessionDoorOptions& options) {
    stream_.reset();
    door_ = std::make_unique<SessionDoor>(*auth_, ports_, options);
    handle_ = std::make_shared<FakeHandle>();
    stream_ = door_->Accept(handle_);
  }
  static SessionUp FromComet() {
    SessionUp up;
    up.set_comet("c1");
    return up;
  }
  static SessionUp Connecting(const std::vector<std::pair<int, std::string>>& asks) {
    SessionUp up = FromComet();
    for (const auto& [id, token] : asks) {
      auto* ask = up.add_connects();
      ask->set_id(static_cast<std::uint64_t>(id));
      ask->set_token(token);
    }
    return up;
  }
  static SessionUp Counting(bool snapshot, const std::map<std::string, int>& counts) {
    SessionUp up = FromComet();
    up.mutable_counts()->set_snapshot(snapshot);
    for (const auto& [room, count] : counts)
      (*up.mutable_counts()->mutable_counts())[room] = count;
    return up;
  }
  SessionDown Filled() {
    SessionDown down;
    EXPECT_TRUE(stream_->Fill(&down));
    return down;
  }
  bool Silent() {
    SessionDown down;
    return !stream_->Fill(&down);
  }
  static std::map<std::string, int> TotalsIn(const SessionDown& down) {
    return {down.totals().counts().begin(), down.totals().counts().end()};
  }

  std::unique_ptr<auth::Auth> auth_ = std::move(*auth::Auth::Make({}));
  FakePorts ports_;
  std::unique_ptr<SessionDoor> door_;
  std::shared_ptr<FakeHandle> handle_;
  std::shared_ptr<rpc::SessionServerUser> stream_;
};

}  // namespace encke::presence
