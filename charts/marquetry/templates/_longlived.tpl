{{/*
What a role that lives on is made of: a Deployment, its PodDisruptionBudget, and what scales it. Takes (dict "root" $
"role" COMPONENT "name" NAME "command" SUBCOMMAND "values" VALUES "image" IMAGE "labels" LABELS "env" LIST
"topic" TOPIC "group" GROUP).
*/}}
{{- define "marquetry.longLived" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $scaling := $values.autoscaling -}}
{{- $grace := add 15 $values.graceSeconds -}}
{{- if and (ne $scaling.kind "none") (gt (int64 $scaling.minReplicas) (int64 $scaling.maxReplicas)) -}}
{{- fail (printf "%s: autoscaling.minReplicas is %d, and maxReplicas %d" .name (int64 $scaling.minReplicas) (int64 $scaling.maxReplicas)) -}}
{{- end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- $more := list (include "marquetry.queueLabel" $values | fromYaml) $values.labels .labels }}
    {{- include "marquetry.labels" (dict "root" $root "component" .role "more" $more) | nindent 4 }}
  {{- with $values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if eq $scaling.kind "none" }}
  replicas: {{ $values.replicas | int64 }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    type: {{ $values.strategy.type }}
    {{- if ne $values.strategy.type "Recreate" }}
    {{- with $values.strategy.rollingUpdate }}
    rollingUpdate:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- end }}
  selector:
    matchLabels:
      {{- include "marquetry.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
      {{- with .labels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  template:
    {{- include "marquetry.podTemplate" (merge (dict "grace" $grace "probes" true "args" list "volumes" list "mounts" list) .) | nindent 4 }}
{{- if $values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels:
    {{- include "marquetry.labels" (dict "root" $root "component" .role) | nindent 4 }}
spec:
  maxUnavailable: {{ $values.podDisruptionBudget.maxUnavailable }}
  # One that is not ready does nothing that an eviction could disturb.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "marquetry.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
      {{- with .labels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- end }}
{{- if eq $scaling.kind "keda" }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ .name }}
  labels:
    {{- include "marquetry.labels" (dict "root" $root "component" .role) | nindent 4 }}
  {{- with $scaling.keda.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  scaleTargetRef: {name: {{ .name }}}
  minReplicaCount: {{ $scaling.minReplicas | int64 }}
  maxReplicaCount: {{ $scaling.maxReplicas | int64 }}
  pollingInterval: {{ $scaling.keda.pollingInterval | int64 }}
  cooldownPeriod: {{ $scaling.keda.cooldownPeriod | int64 }}
  {{- with $scaling.keda.fallback }}
  fallback:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $scaling.hpa.behavior }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml . | nindent 8 }}
  {{- end }}
  triggers:
    {{- if $scaling.keda.prometheusAddress }}
    {{- $job := printf "%s-metrics" (include "marquetry.fullname" $root) }}
    {{- /* No answer is no zero: a pool must not end amid its work because metrics are away. */}}
    {{- $asked := dict
      "ignoreNullValues" "false"
      "serverAddress" $scaling.keda.prometheusAddress
      "query" (printf "max(marquetry_queue_lag_messages{namespace=%q,job=%q,topic=%q})" $root.Release.Namespace $job .topic)
      "threshold" ($scaling.keda.lagThreshold | int64 | toString)
      "activationThreshold" ($scaling.keda.activationLagThreshold | int64 | toString) }}
    - type: prometheus
      metadata:
        {{- include "marquetry.merged" (list $asked $scaling.keda.metadata) | nindent 8 }}
    {{- else }}
    {{- /* A group sees a topic from its beginning, and commits late: what is in hand counts as lag. */}}
    {{- $asked := dict
      "bootstrapServers" $root.Values.kafka.brokers
      "consumerGroup" (printf "%s.%s" $root.Values.kafka.topicPrefix .group)
      "topic" (printf "%s.%s" $root.Values.kafka.topicPrefix .topic)
      "lagThreshold" ($scaling.keda.lagThreshold | int64 | toString)
      "activationLagThreshold" ($scaling.keda.activationLagThreshold | int64 | toString)
      "offsetResetPolicy" "earliest"
      "limitToPartitionsWithLag" ($scaling.keda.limitToPartitionsWithLag | toString) }}
    - type: kafka
      metadata:
        {{- include "marquetry.merged" (list $asked $scaling.keda.metadata) | nindent 8 }}
    {{- end }}
      {{- with $scaling.keda.authenticationRef }}
      authenticationRef:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- with $scaling.keda.extraTriggers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- else if eq $scaling.kind "hpa" }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ .name }}
  labels:
    {{- include "marquetry.labels" (dict "root" $root "component" .role) | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ .name }}}
  minReplicas: {{ max 1 ($scaling.minReplicas | int64) }}
  maxReplicas: {{ $scaling.maxReplicas | int64 }}
  metrics:
    {{- toYaml $scaling.hpa.metrics | nindent 4 }}
  {{- with $scaling.hpa.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
