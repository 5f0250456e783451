# Writes a C++ source that holds files: encke::logic::DemoFiles().
#   cmake -DOUT=x.cc -DHEADER=logic/demo_page.h -P embed.cmake -- a.html b.js
set(words "")
set(after_dashes FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(after_dashes)
    list(APPEND words "${CMAKE_ARGV${i}}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(after_dashes TRUE)
  endif()
endforeach()

set(arrays "")
set(entries "")
set(number 0)
foreach(path IN LISTS words)
  get_filename_component(name "${path}" NAME)
  file(READ "${path}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND arrays "constexpr unsigned char kBytes${number}[] = {${bytes}0x00};\n")
  string(APPEND entries "      {\"${name}\", std::string_view(reinterpret_cast<const char*>"
                        "(kBytes${number}), sizeof kBytes${number} - 1)},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUT}" "#include \"${HEADER}\"\n\nnamespace encke::logic {\nnamespace {\n${arrays}"
                    "}  // namespace\n\nstd::vector<DemoFile> DemoFiles() {\n  return {\n${entries}"
                    "  };\n}\n\n}  // namespace encke::logic\n")
