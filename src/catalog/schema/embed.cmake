# cmake -DOUT=schema.cc -P embed.cmake 0001.sql ...
#
# Writes OUT, the definition of kiln::catalog::migrations() (migrations.h), with the content of the named files. The
# number that a file's name begins with is its version; versions are 1, 2, 3 and so on without a gap.
set(entries "")
set(next 1)
set(first_file -1)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(first_file GREATER -1 AND i GREATER first_file)
    set(file ${CMAKE_ARGV${i}})
    get_filename_component(name ${file} NAME)
    if(NOT name MATCHES "^0*([0-9]+)([_.]|$)" OR NOT CMAKE_MATCH_1 EQUAL next)
      message(FATAL_ERROR "${name}: expected schema version ${next}; files are named 0001.sql, 0002_what.sql, ...")
    endif()
    file(READ ${file} sql)
    string(APPEND entries "    {${next}, \"${name}\", R\"kiln_sql(${sql})kiln_sql\"},\n")
    math(EXPR next "${next} + 1")
  elseif(CMAKE_ARGV${i} MATCHES "embed\\.cmake$")
    set(first_file ${i})
  endif()
endforeach()
file(WRITE ${OUT}
  "// Made from src/catalog/schema/*.sql by embed.cmake.\n"
  "#include \"catalog/migrations.h\"\n\n"
  "namespace kiln::catalog {\nnamespace {\n"
  "constexpr Migration embedded[] = {\n${entries}};\n"
  "}  // namespace\n"
  "std::span<const Migration> migrations() { return embedded; }\n"
  "}  // namespace kiln::catalog\n")
