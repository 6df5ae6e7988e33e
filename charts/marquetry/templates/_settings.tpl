{{/* What all roles are told alike, as data of a ConfigMap. */}}
{{- define "marquetry.settings" -}}
{{- $kafka := .Values.kafka -}}
{{- $protocol := get $kafka.settings "security.protocol" | toString | upper -}}
{{- /* The secret's file, which is not seen here, may name the protocol. */ -}}
{{- if and $kafka.tls.secretName (not $kafka.existingSecret.name) (not (has $protocol (list "SSL" "SASL_SSL"))) -}}
{{- fail "kafka.tls counts only where kafka.settings has security.protocol SSL or SASL_SSL" -}}
{{- end -}}
MARQUETRY_BROKERS: {{ required "kafka.brokers is needed: host:port, several with commas between" $kafka.brokers | quote }}
MARQUETRY_TOPIC_PREFIX: {{ $kafka.topicPrefix | quote }}
MARQUETRY_PARTITIONS: {{ $kafka.partitions | int64 | quote }}
{{- with $kafka.replication }}
MARQUETRY_REPLICATION: {{ . | int64 | quote }}
{{- end }}
MARQUETRY_GROUP_PROTOCOL: {{ $kafka.groupProtocol | quote }}
MARQUETRY_CONNECT_SECONDS: {{ $kafka.connectSeconds | int64 | quote }}
MARQUETRY_METRICS: {{ printf "0.0.0.0:%d" (.Values.metrics.port | int64) | quote }}
MARQUETRY_LOG_FORMAT: {{ .Values.logFormat | quote }}
MARQUETRY_CACHE: /var/cache/marquetry
TMPDIR: /var/tmp/marquetry
MARQUETRY_S3_PATH_STYLE: {{ .Values.s3.pathStyle | toString | quote }}
{{- with .Values.s3.endpoint }}
AWS_ENDPOINT_URL_S3: {{ . | quote }}
{{- end }}
{{- with .Values.s3.region }}
AWS_REGION: {{ . | quote }}
{{- end }}
{{- with .Values.stores }}
MARQUETRY_STORES: {{ join "," . | quote }}
{{- end }}
{{- end }}
