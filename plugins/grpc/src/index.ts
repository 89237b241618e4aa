export { Plugin as clientPlugin } from './client.js'
export { grpcClient, type GrpcClientOptions } from './grpc-client.js'
export { grpcServer, type GrpcServerOptions } from './grpc-server.js'
export { Plugin as serverPlugin } from './server.js'
