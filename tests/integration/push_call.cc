// A caller of the Push service for tests/integration/test_push_grpc.py.
// usage: push_call HOST:PORT [METADATA=VALUE ...]
// Each line of input is "METHOD<tab>request as JSON", each line of output "CODE<tab>reply as JSON",
// or "CODE<tab>message"; code -1: the request cannot be said in the service's messages.
#include <chrono>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include "api/push_api.grpc.pb.h"

namespace {

namespace v1 = encke::v1;
using Metadata = std::vector<std::pair<std::string, std::string>>;

template <class Ask, class Reply>
std::string Call(v1::Push::Stub& stub,
                 grpc::Status (v1::Push::Stub::*method)(grpc::ClientContext*, const Ask&, Reply*),
                 const Metadata& metadata,
                 const std::string& json) {
  Ask ask;
  const auto read = google::protobuf::util::JsonStringToMessage(json, &ask);
  if (!read.ok()) return "-1\t" + read.ToString();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  for (const auto& [name, value] : metadata)
    context.AddMetadata(name, value);
  Reply reply;
  const grpc::Status status = (stub.*method)(&context, ask, &reply);
  if (!status.ok()) return std::to_string(status.error_code()) + "\t" + status.error_message();
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  (void)google::protobuf::util::MessageToJsonString(reply, &text, options);
  return "0\t" + text;
}

std::string Answer(v1::Push::Stub& stub, const Metadata& metadata, const std::string& line) {
  const std::size_t tab = line.find('\t');
  const std::string method = line.substr(0, tab);
  const std::string json = tab == std::string::npos ? "{}" : line.substr(tab + 1);
  if (method == "Send") return Call(stub, &v1::Push::Stub::Send, metadata, json);
  if (method == "SendBatch") return Call(stub, &v1::Push::Stub::SendBatch, metadata, json);
  if (method == "GetReport") return Call(stub, &v1::Push::Stub::GetReport, metadata, json);
  return "-1\tno such method";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  Metadata metadata;
  for (int i = 2; i < argc; ++i) {
    const std::string_view word(argv[i]);
    const std::size_t at = word.find('=');
    metadata.emplace_back(word.substr(0, at), word.substr(at + 1));
  }
  const auto stub =
      v1::Push::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  for (std::string line; std::getline(std::cin, line);)
    std::cout << Answer(*stub, metadata, line) << std::endl;
  return 0;
}
