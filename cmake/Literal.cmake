# A file's bytes as a string_view of C++, whatever is in them.
function(cpp_literal result file)
  file(SIZE ${file} size)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "\\\\x\\1" content "${hex}")
  set(${result} "std::string_view(\"${content}\", ${size})" PARENT_SCOPE)
endfunction()
