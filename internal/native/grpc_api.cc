#include "native/grpc_api.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "native/gather.h"
#include "native/write.h"

namespace encke::native {

namespace {

using rpc::Verdict;

Verdict VerdictOf(Errc code) {
  switch (StatusOf(code)) {
    case 404:
      return Verdict::kNotFound;
    case 503:
      return Verdict::kMayPass;
    default:
      return Verdict::kBroken;
  }
}

v1::PushReply ReplyOf(const push::Accepted& accepted) {
  v1::PushReply reply;
  reply.set_id(accepted.id);
  reply.set_time_us(accepted.time_us);
  reply.set_duplicate(accepted.duplicate);
  reply.set_unrouted(accepted.unrouted);
  for (const push::Place& place : accepted.places) {
    v1::TimelinePlace* at = reply.add_timelines();
    at->set_timeline(place.timeline);
    at->set_epoch(place.epoch);
    at->set_seq(place.seq);
  }
  return reply;
}

v1::BatchResult ResultOf(const Result<push::Accepted>& accepted) {
  v1::BatchResult result;
  if (accepted) {
    *result.mutable_accepted() = ReplyOf(*accepted);
  } else {
    result.mutable_failure()->set_message(accepted.error().text);
    result.mutable_failure()->set_retry(StatusOf(accepted.error().code) == 503);
  }
  return result;
}

// HTTP's server refuses long bodies before they are read.
std::optional<Fault> TooLong(const push::Push& push, const std::string& at, std::size_t bytes_max) {
  if (push.body.size() <= bytes_max) return std::nullopt;
  return Fault{at + "body", fmt::format("must not be longer than {} bytes", bytes_max)};
}

}  // namespace

GrpcApi::GrpcApi(NativePorts ports, const auth::ApiKeys& keys, const Options& options)
    : ports_(std::move(ports)), keys_(keys), options_(options) {}

rpc::PushCalls GrpcApi::calls() {
  rpc::PushCalls calls;
  calls.send = Guard(&GrpcApi::Send);
  calls.send_batch = Guard(&GrpcApi::SendBatch);
  calls.get_report = Guard(&GrpcApi::GetReport);
  return calls;
}

// Every call: counted, with a key, and not too many at once.
template <class Ask, class Reply>
rpc::Call<Ask, Reply> GrpcApi::Guard(void (GrpcApi::*handle)(const Ask&, const Done<Reply>&)) {
  return [this, handle](const rpc::Caller& caller, const Ask& ask, Done<Reply> done) {
    counts_.calls.Add();
    if (!keys_.Allow(caller.authorization, caller.api_key)) {
      counts_.unauthorized.Add();
      return done({Verdict::kNoKey, "show an API key"});
    }
    if (counts_.under_way.value() >= options_.calls_max) {
      counts_.busy.Add();
      return done({Verdict::kMayPass, "too many calls are under way"});
    }
    counts_.under_way.Add(1);
    (this->*handle)(ask, [this, done = std::move(done)](rpc::Answer<Reply> answer) {
      counts_.under_way.Add(-1);
      done(std::move(answer));
    });
  };
}

template <class Reply>
void GrpcApi::Refuse(Verdict verdict, const Fault& fault, const Done<Reply>& done) {
  counts_.refused.Add();
  done({verdict, fault.field.empty() ? fault.text : fault.field + ": " + fault.text});
}

template <class Reply>
void GrpcApi::Fail(const Error& error, const Done<Reply>& done) {
  counts_.failed.Add();
  done({VerdictOf(error.code), error.text});
}

void GrpcApi::Send(const v1::PushRequest& ask, const Done<v1::PushReply>& done) {
  auto read = ReadPush(ObjectOf(ask), "", nullptr);
  if (const auto* fault = std::get_if<Fault>(&read)) return Refuse(Verdict::kInvalid, *fault, done);
  auto& push = std::get<push::Push>(read);
  if (const auto fault = TooLong(push, "", options_.body_bytes_max)) {
    return Refuse(Verdict::kInvalid, *fault, done);
  }
  ports_.accept(std::move(push), [this, done](const Result<push::Accepted>& accepted) {
    if (!accepted) return Fail(accepted.error(), done);
    done({Verdict::kDone, "", ReplyOf(*accepted)});
  });
}

void GrpcApi::SendBatch(const v1::BatchRequest& ask, const Done<v1::BatchReply>& done) {
  auto read = ReadBatch(ObjectOf(ask));
  if (const auto* fault = std::get_if<Fault>(&read)) return Refuse(Verdict::kInvalid, *fault, done);
  auto& pushes = std::get<std::vector<push::Push>>(read);
  for (std::size_t i = 0; i < pushes.size(); ++i) {
    const auto fault = TooLong(pushes[i], PlaceInBatch(i), options_.body_bytes_max);
    if (fault) return Refuse(Verdict::kInvalid, *fault, done);
  }
  const auto gather = std::make_shared<Gather<v1::BatchResult>>(
      pushes.size(), [done](std::vector<v1::BatchResult> results) {
        rpc::Answer<v1::BatchReply> answer;
        for (v1::BatchResult& result : results)
          *answer.reply.add_results() = std::move(result);
        done(std::move(answer));
      });
  ports_.accept_all(std::move(pushes),
                    [this, gather](std::size_t i, const Result<push::Accepted>& accepted) {
                      if (!accepted) counts_.failed.Add();
                      gather->Put(i, ResultOf(accepted));
                    });
}

void GrpcApi::GetReport(const v1::ReportRequest& ask, const Done<v1::ReportReply>& done) {
  if (ask.id().empty()) return Refuse(Verdict::kInvalid, {"id", "is missing"}, done);
  ports_.report(ask.id(), [this, done, id = ask.id()](const auto& sums) {
    if (!sums) return Fail(sums.error(), done);
    if (sums->empty()) return Refuse(Verdict::kNotFound, NoReport(), done);
    rpc::Answer<v1::ReportReply> answer;
    answer.reply.set_id(id);
    for (const auto& [name, count] : *sums)
      (*answer.reply.mutable_counts())[name] = count;
    done(std::move(answer));
  });
}

}  // namespace encke::native
