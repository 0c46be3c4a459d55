{#- A name as the loader stages it: trimmed and in NFC. By default PostgreSQL's btrim removes only spaces; these are all
    the characters that Python's strip removes. -#}
{% macro normal_name(name) -%}
    normalize(btrim(
        {{ name }},
        U&' \0009\000A\000B\000C\000D\001C\001D\001E\001F\0085\00A0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\2028\2029\202F\205F\3000'
    ), nfc)
{%- endmacro %}
