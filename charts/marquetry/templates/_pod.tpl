{{/*
The pod of a role. Takes (dict "root" $ "role" COMPONENT "command" SUBCOMMAND "values" VALUES "image" IMAGE
"labels" LABELS "env" LIST "args" LIST "volumes" LIST "mounts" LIST "grace" SECONDS "restartPolicy" POLICY
"probes" BOOL "podName" NAME); gives what stands below `template:`.
*/}}
{{- define "marquetry.podTemplate" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $kafka := $root.Values.kafka -}}
{{- $s3 := $root.Values.s3 -}}
metadata:
  {{- with .podName }}
  name: {{ . }}
  {{- end }}
  labels:
    {{- $fixed := include "marquetry.selectorLabels" $root | fromYaml }}
    {{- $_ := set $fixed "app.kubernetes.io/component" .role }}
    {{- include "marquetry.merged" (list $root.Values.commonLabels $values.podLabels .labels $fixed) | nindent 4 }}
  annotations:
    {{- $checksum := dict "checksum/settings" (include "marquetry.settings" $root | sha256sum) }}
    {{- include "marquetry.merged" (list $values.podAnnotations $checksum) | nindent 4 }}
spec:
  serviceAccountName: {{ include "marquetry.serviceAccountName" $root | quote }}
  automountServiceAccountToken: {{ $root.Values.serviceAccount.automountToken }}
  enableServiceLinks: false
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .grace }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with $values.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
  {{- with $values.schedulerName }}
  schedulerName: {{ . | quote }}
  {{- end }}
  {{- with $values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .role }}
      image: {{ include "marquetry.image" (dict "root" $root "image" .image) | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        - {{ .command }}
        {{- range $name, $value := $kafka.settings }}
        - {{ printf "--kafka=%s=%v" $name (ternary (int64 $value) $value (kindIs "float64" $value)) | quote }}
        {{- end }}
        {{- if $kafka.tls.secretName }}
        {{- with $kafka.tls.caKey }}
        - {{ printf "--kafka=ssl.ca.location=/etc/marquetry/kafka-tls/%s" . | quote }}
        {{- end }}
        {{- with $kafka.tls.certificateKey }}
        - {{ printf "--kafka=ssl.certificate.location=/etc/marquetry/kafka-tls/%s" . | quote }}
        {{- end }}
        {{- with $kafka.tls.privateKeyKey }}
        - {{ printf "--kafka=ssl.key.location=/etc/marquetry/kafka-tls/%s" . | quote }}
        {{- end }}
        {{- end }}
        {{- range $values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
        {{- range .args }}
        - {{ . | quote }}
        {{- end }}
      envFrom:
        - configMapRef: {name: {{ include "marquetry.fullname" $root }}-settings}
        {{- with $values.extraEnvFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        {{- include "marquetry.env" . | nindent 8 }}
      ports:
        - {name: metrics, containerPort: {{ $root.Values.metrics.port }}, protocol: TCP}
      {{- if .probes }}
      # Ready when it has tried itself and Kafka answers; it lives as long as it answers at all. What hangs in a task ends by itself.
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      startupProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 24
      livenessProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 20
        timeoutSeconds: 10
        failureThreshold: 6
      {{- end }}
      {{- with $values.resources }}
      resources:
        {{- include "marquetry.resources" . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: cache, mountPath: /var/cache/marquetry}
        - {name: scratch, mountPath: /var/tmp/marquetry}
        {{- if $kafka.existingSecret.name }}
        - {name: kafka, mountPath: /etc/marquetry/kafka, readOnly: true}
        {{- end }}
        {{- if $kafka.tls.secretName }}
        - {name: kafka-tls, mountPath: /etc/marquetry/kafka-tls, readOnly: true}
        {{- end }}
        {{- if $s3.ca.secretName }}
        - {name: s3-ca, mountPath: /etc/marquetry/s3-ca, readOnly: true}
        {{- end }}
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: cache
      {{- if $values.cache.volume }}
      {{- toYaml $values.cache.volume | nindent 6 }}
      {{- else }}
      emptyDir: {sizeLimit: {{ add 10 $values.cache.gb }}G}
      {{- end }}
    - name: scratch
      {{- if $values.scratch.volume }}
      {{- toYaml $values.scratch.volume | nindent 6 }}
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- if $kafka.existingSecret.name }}
    - name: kafka
      secret: {secretName: {{ $kafka.existingSecret.name | quote }}}
    {{- end }}
    {{- if $kafka.tls.secretName }}
    - name: kafka-tls
      secret: {secretName: {{ $kafka.tls.secretName | quote }}}
    {{- end }}
    {{- if $s3.ca.secretName }}
    - name: s3-ca
      secret: {secretName: {{ $s3.ca.secretName | quote }}}
    {{- end }}
    {{- with .volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Environment variables of a role, without those that `extraEnv` says otherwise: a name must stand there once. */}}
{{- define "marquetry.env" -}}
{{- $kafka := .root.Values.kafka -}}
{{- $env := list
  (dict "name" "MARQUETRY_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))
  (dict "name" "MARQUETRY_CACHE_GB" "value" (int64 .values.cache.gb)) -}}
{{- $env = concat $env .env -}}
{{- if $kafka.existingSecret.name -}}
{{- $file := printf "/etc/marquetry/kafka/%s" $kafka.existingSecret.key -}}
{{- $env = append $env (dict "name" "MARQUETRY_KAFKA_CONFIG" "value" $file) -}}
{{- end -}}
{{- $env = concat $env (include "marquetry.s3Env" .root | fromYamlArray) -}}
{{- $said := list -}}
{{- range .values.extraEnv }}{{ $said = append $said .name }}{{ end -}}
{{- $all := list -}}
{{- range $env -}}
{{- if not (has .name $said) -}}
{{- $all = append $all (ternary (dict "name" .name "value" (toString .value)) . (hasKey . "value")) -}}
{{- end -}}
{{- end -}}
{{- concat $all .values.extraEnv | toYaml -}}
{{- end }}

{{/* Keys of S3, by reference. */}}
{{- define "marquetry.s3Env" -}}
{{- $secret := .Values.s3.existingSecret -}}
{{- if $secret.name -}}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ $secret.name | quote }}, key: {{ $secret.accessKeyIdKey | quote }}}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ $secret.name | quote }}, key: {{ $secret.secretAccessKeyKey | quote }}}}
{{- with $secret.sessionTokenKey }}
- name: AWS_SESSION_TOKEN
  valueFrom: {secretKeyRef: {name: {{ $secret.name | quote }}, key: {{ . | quote }}}}
{{- end }}
{{- end }}
{{- if .Values.s3.ca.secretName }}
- name: SSL_CERT_FILE
  value: {{ printf "/etc/marquetry/s3-ca/%s" .Values.s3.ca.key | quote }}
# Public authorities count too: an identity is often handed out by a server that has its certificate from one.
- name: SSL_CERT_DIR
  value: /etc/ssl/certs
{{- end }}
{{- end }}
